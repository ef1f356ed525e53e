"""Checkpoints: weights and all that is needed to resume; nothing in them runs code on loading.

    checkpoint.json       sizes, settings of features, constants, configuration, progress, digests
    model.safetensors     weights and constants
    chain.safetensors     recent sales of the chain, as of its last week
    training.safetensors  optimiser and sums (only where training can resume)
    vocabulary/           the cache's static tables, without customers: tokens, labels, stores

They hold everything that the model needs to score data that were built later, and to answer
questions about customers that are in no cache.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainer.cache.atomic import file_digest, new_folder
from trainer.cache.json_files import CONTENT_DIGEST, is_intact, read_json, write_json
from trainer.cache.reader import MANIFEST, CacheError, TensorCache
from trainer.cache.schema import COLUMNS, STATIC_TABLES
from trainer.cache.writer import write_cache
from trainer.commands.errors import ExpectedError
from trainer.features.calendar import trips_by_week
from trainer.features.chain import Chain
from trainer.features.chain_sales import ChainSales, chain_sales_after
from trainer.features.settings import FeatureSettings
from trainer.model.config import WorldModelConfig
from trainer.model.constants import constants
from trainer.model.world_model import WorldModel

FORMAT = 6
"""Increased whenever weights or the description change their names or meanings, so that older
checkpoints are refused."""
DESCRIPTION, MODEL, TRAINING = "checkpoint.json", "model.safetensors", "training.safetensors"
CHAIN = "chain.safetensors"
VOCABULARY = "vocabulary"
CALENDAR_TABLES = ("days", "weeks")


FILES = {DESCRIPTION, MODEL, TRAINING, CHAIN, VOCABULARY}


class CheckpointError(ExpectedError):
    """A checkpoint that is missing, damaged or does not fit; the message says what to do."""


class NotFiniteError(CheckpointError, FloatingPointError):
    """Numbers that are infinite or none at all, and are not saved."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read into memory."""

    folder: Path
    config: WorldModelConfig
    cache_digest: str
    """Digest of the cache it was trained on."""
    vocabulary_digest: str
    """Digest of its vocabulary's manifest, which has those of all its columns."""
    features: dict[str, Any]
    """Settings of the features that it was trained on (`FeatureSettings.to_dict`)."""
    progress: dict[str, Any]
    """The trainer's position; JSON values."""
    weights: dict[str, Tensor]
    weights_digest: str
    """SHA-256 of the file of weights."""
    sales: dict[str, np.ndarray]
    """Recent sales of the chain (`ChainSales.to_arrays`)."""
    training: dict[str, Tensor] = field(default_factory=dict)
    """Optimiser and sums of the epoch so far; empty where training cannot resume. Random numbers
    follow from the seed and the position in the data."""

    @property
    def vocabulary(self) -> TensorCache:
        """The static tables, as a cache without customers.

        Raises CacheError where they are missing or damaged, CheckpointError where they are those
        of another checkpoint, or this version works out features in another way.
        """
        vocabulary = TensorCache(self.folder / VOCABULARY, remedy="use another checkpoint")
        if vocabulary.manifest[CONTENT_DIGEST] != self.vocabulary_digest:
            raise CheckpointError(
                f"{vocabulary.folder} is not the vocabulary that the checkpoint was saved with: "
                "use another checkpoint"
            )
        if changed := FeatureSettings.of(vocabulary).difference(self.features):
            raise CheckpointError(
                f"{self.folder} was trained with another {changed} of the features than this "
                "version has, so its weights would mean something else: train again"
            )
        return vocabulary

    def chain(self) -> Chain:
        """The chain as of the end of the cache, for states of customers where there is no cache.
        Prices are the static ones of the vocabulary.
        """
        return Chain(self.vocabulary, ChainSales.from_arrays(self.sales))

    def model(self) -> WorldModel:
        """The model, on the CPU in evaluation mode.

        Raises CheckpointError where weights and sizes disagree, and what `vocabulary` raises.
        """
        vocabulary = self.vocabulary
        try:
            model = WorldModel(self.config, vocabulary)
            model.load_state_dict(self.weights)
        except (RuntimeError, TypeError, ValueError, ArithmeticError) as error:
            reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
            raise CheckpointError(
                f"{self.folder / MODEL} does not fit its sizes: {reason}"
            ) from None
        return model.eval()


def save_checkpoint(
    folder: Path,
    model: WorldModel,
    cache: TensorCache,
    progress: Mapping[str, Any],
    training: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint in one step: `folder` holds the former one until this is complete.

    Raises NotFiniteError for weights or a state of training that are not finite, CheckpointError
    where `folder` holds anything but a checkpoint, and OSError; `folder` is then as it was.
    """
    check_replaceable(folder)
    for tensors in (model.state_dict(), training or {}):
        if name := not_finite(tensors):
            raise NotFiniteError(f"{folder}: not saved, because {name} is not finite")
    with new_folder(folder) as fresh:
        _save(model.state_dict(), fresh / MODEL)
        sales = chain_sales_after(cache, int(np.flatnonzero(trips_by_week(cache))[-1]))
        with _disk_errors():
            save_arrays(sales.to_arrays(), fresh / CHAIN)
        if training is not None:
            _save(training, fresh / TRAINING)
        _write_vocabulary(cache, fresh / VOCABULARY)
        files = [path for path in (fresh / MODEL, fresh / CHAIN, fresh / TRAINING) if path.exists()]
        description = {
            "format": FORMAT,
            "config": asdict(model.config),
            "features": FeatureSettings.of(cache).to_dict(),
            "constants": constants(),
            "cache_digest": cache.digest,
            "vocabulary_digest": read_json(fresh / VOCABULARY / MANIFEST)[CONTENT_DIGEST],
            "sha256": {path.name: file_digest(path) for path in files},
            "progress": dict(progress),
        }
        write_json(fresh / DESCRIPTION, description)


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of a tensor that holds anything but finite numbers, if there is one."""
    for name, values in tensors.items():
        if values.is_floating_point() and not bool(values.isfinite().all()):
            return name
    return None


def check_replaceable(folder: Path) -> None:
    """Raise CheckpointError unless a folder is new, empty, or a checkpoint and nothing else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder, and is not replaced: move it away")
    inside = [path.relative_to(folder) for path in sorted(folder.rglob("*"))]
    if inside and not _describes_checkpoint(folder / DESCRIPTION):
        raise CheckpointError(f"{folder} is no checkpoint, and is not replaced: move it away")
    for path in inside:
        of_vocabulary = path.parent == Path(VOCABULARY) and (
            path.name == MANIFEST or path.suffix == ".npy"
        )
        if str(path) not in FILES and not of_vocabulary:
            raise CheckpointError(
                f"{folder / path} is no part of a checkpoint and would be lost: move it away"
            )


def remove_checkpoint(folder: Path) -> None:
    """Remove a checkpoint that `check_replaceable` accepts; of a link to one, the link."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _describes_checkpoint(path: Path) -> bool:
    """Whether a file begins as `save_checkpoint` writes it, even if it is damaged further on."""
    try:
        with path.open("rb") as file:
            return re.match(rb'\{\s*"format": ', file.read(64)) is not None
    except OSError:
        return False


def load_checkpoint(folder: Path | str) -> Checkpoint:
    """Read a checkpoint and verify its digests.

    The folder may be replaced meanwhile, as that of a run that is being trained: what is read is
    one checkpoint, never parts of two. Raises CheckpointError where it is missing, damaged, not
    finite or of another format.
    """
    folder = Path(folder)
    while True:
        before = _identity(folder)
        try:
            checkpoint = _read(folder)
        except (CheckpointError, OSError):
            if _identity(folder) == before:
                raise
        else:
            if _identity(folder) == before:
                return checkpoint


def _identity(folder: Path) -> tuple[int, int] | None:
    """Of the folder of this name; another one in its place has another."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns


def _read(folder: Path) -> Checkpoint:
    path = folder / DESCRIPTION
    if not path.is_file():
        inside = [name for name in ("best", "last") if (folder / name / DESCRIPTION).is_file()]
        hint = f", but {folder / inside[0]} is" if inside else ""
        raise CheckpointError(f"{path} does not exist: {folder} is no checkpoint{hint}")
    try:
        facts = read_json(path)
    except ValueError as error:
        raise CheckpointError(f"{error}: use another checkpoint") from None
    if (version := facts.get("format")) != FORMAT:
        raise CheckpointError(
            f"{path}: format {version}, this version reads format {FORMAT} only: train again "
            "(python -m trainer.fit), or use the version of RetailSim that wrote it"
        )
    if not is_intact(facts):
        raise CheckpointError(f"{path} is damaged (its digest differs): use another checkpoint")
    try:
        config = WorldModelConfig(**facts["config"])
        features = dict(facts["features"])
        trained_with = dict(facts["constants"])
        digests = dict(facts["sha256"])
        progress, cache_digest = dict(facts["progress"]), facts["cache_digest"]
        vocabulary_digest = facts["vocabulary_digest"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    known = constants()
    for name in sorted(known.keys() | trained_with.keys()):
        if trained_with.get(name) != known.get(name):
            raise CheckpointError(
                f"{path}: trained with {name} {trained_with.get(name)}, this version has "
                f"{known.get(name)}: its weights would mean something else, train again"
            )
    for name in (MODEL, CHAIN):
        if name not in digests:
            raise CheckpointError(f"{path} is damaged: it names no {name}")
    tensors = {
        name: _load(folder / name, digests[name])
        for name in (MODEL, CHAIN, TRAINING)
        if name in digests
    }
    return Checkpoint(
        folder=folder,
        config=config,
        cache_digest=cache_digest,
        vocabulary_digest=vocabulary_digest,
        features=features,
        progress=progress,
        weights=tensors[MODEL],
        weights_digest=digests[MODEL],
        sales={name: values.numpy() for name, values in tensors[CHAIN].items()},
        training=tensors.get(TRAINING, {}),
    )


def load_model(folder: Path | str, cache: TensorCache) -> WorldModel:
    """The model of a checkpoint, for data of this cache.

    Raises CheckpointError where the checkpoint is unusable or the cache was made for another
    vocabulary.
    """
    return model_for(load_checkpoint(folder), cache)


def model_for(checkpoint: Checkpoint, cache: TensorCache) -> WorldModel:
    """`load_model` for a checkpoint in memory."""
    folder = checkpoint.folder
    try:
        vocabulary = checkpoint.vocabulary
    except CacheError as error:
        raise CheckpointError(str(error)) from None
    for column in ("products.code", "categories.code", "stores.code"):
        known = vocabulary[column]
        # A cache exported --like this checkpoint has further stores after the known ones.
        if not np.array_equal(cache[column][: len(known)], known) or (
            column != "stores.code" and len(cache[column]) != len(known)
        ):
            raise CheckpointError(
                f"{cache.folder} has another vocabulary than {folder} ({column}): export it with "
                f"python -m dbt_project.export --like {folder}"
            )
    of_vocabulary = FeatureSettings.of(vocabulary).to_dict()
    if changed := FeatureSettings.of(cache).difference(of_vocabulary):
        raise CheckpointError(
            f"{cache.folder} was built with another {changed} than {folder}: set the var of that "
            "name as in the build that it was trained on, then dbt build and export again"
        )
    if cache.labels != vocabulary.labels:
        raise CheckpointError(
            f"{cache.folder} has other labels than {folder}: export it with "
            f"python -m dbt_project.export --like {folder}"
        )
    return checkpoint.model()


def _write_vocabulary(cache: TensorCache, folder: Path) -> None:
    """Write the cache's static tables and calendar as a cache without customers."""
    kept = STATIC_TABLES + CALENDAR_TABLES
    columns = {
        column.name: np.zeros(1, dtype=np.uint8)
        if column.is_offsets
        else cache[column.name][: None if column.table in kept else 0]
        for column in COLUMNS
    }
    manifest = {name: cache.manifest[name] for name in ("labels", "split", "totals", "settings")}
    write_cache(folder, columns, manifest)


def _save(tensors: Mapping[str, Tensor], path: Path) -> None:
    with _disk_errors():
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, path)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """What safetensors reports in a type of its own, such as a full disk, as OSError."""
    try:
        yield
    except SafetensorError as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        code = int(number[1]) if number else errno.EIO
        raise OSError(code, os.strerror(code) if number else str(error)) from error


def _load(path: Path, digest: str) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist: use another checkpoint")
    if file_digest(path) != digest:
        raise CheckpointError(f"{path} is damaged (its digest differs): use another checkpoint")
    try:
        tensors = load_file(path)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None
    if name := not_finite(tensors):
        raise CheckpointError(f"{path}: {name} is not finite: use another checkpoint")
    return tensors
