"""A training run, as its folder holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.model.checkpoint import load_checkpoint, model_for
from trainer.model.world_model import WorldModel
from trainer.training.folder import BEST, CURVES


@dataclass(frozen=True)
class Run:
    """A run's best checkpoint, its model on the GPU if there is one, and its training curves."""

    folder: Path
    model: WorldModel
    progress: Mapping[str, Any]
    """The trainer's state at the checkpoint, such as the epoch and the training configuration."""
    trained_on: str
    """Digest of the cache it was trained on."""
    weights_digest: str
    curves: tuple[dict[str, Any], ...]
    """One row per epoch; empty if the run has none."""

    @classmethod
    def read(cls, folder: Path, cache: TensorCache) -> Run:
        """Read the folder that `trainer.fit` wrote, with the model ready for this cache.

        Raises CheckpointError if its checkpoint is missing, damaged or of another vocabulary,
        ValueError if its curves are damaged.
        """
        checkpoint = load_checkpoint(folder / BEST)
        return cls(
            folder=folder,
            model=model_for(checkpoint, cache).to("cuda" if torch.cuda.is_available() else "cpu"),
            progress=checkpoint.progress,
            trained_on=checkpoint.cache_digest,
            weights_digest=checkpoint.weights_digest,
            curves=read_curves(folder / CURVES),
        )


def read_curves(path: Path) -> tuple[dict[str, Any], ...]:
    """The rows of curves.jsonl; none if there is no such file.

    Raises ValueError for a line that is not a row.
    """
    if not path.exists():
        return ()
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            numbers = {name: float(value) for name, value in row.items() if name != "phase"}
            rows.append(numbers | {"epoch": int(row["epoch"]), "phase": str(row["phase"])})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} line {number} is no row of the curves: {error}") from None
    return tuple(rows)
