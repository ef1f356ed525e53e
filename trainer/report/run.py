"""A training run, as its folder holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainer.cache.reader import TensorCache
from trainer.cache.split import split_weeks
from trainer.evaluation.unseen import check_unseen
from trainer.model.checkpoint import load_checkpoint, model_for
from trainer.model.world_model import WorldModel
from trainer.training.folder import BEST, LAST


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
    def read(cls, folder: Path, cache: TensorCache, split: str = "test") -> Run:
        """Read the folder that `trainer.fit` wrote, with the model ready for this cache, on whose
        split it is measured.

        The curves are those of `last`, which every epoch was written to, or of `best` where that
        is all there is. Raises CheckpointError if a checkpoint is missing, damaged or of another
        vocabulary, InputError if it was trained on weeks of the split.
        """
        checkpoint = load_checkpoint(folder / BEST)
        model = model_for(checkpoint, cache)
        check_unseen(checkpoint, cache, split_weeks(cache, split)[0])
        newest = load_checkpoint(folder / LAST) if (folder / LAST).exists() else checkpoint
        return cls(
            folder=folder,
            model=model.to("cuda" if torch.cuda.is_available() else "cpu"),
            progress=checkpoint.progress,
            trained_on=checkpoint.cache_digest,
            weights_digest=checkpoint.weights_digest,
            curves=tuple(newest.progress.get("curves", ())),
        )
