"""Results of baselines, kept for the next evaluation of the same trips.

One file per task and baseline, in a folder that may be deleted at any time. A file is used only for
the same cache, trips, task, seed and baseline, and only if constants, code and library versions are
those that made it; otherwise the baseline is measured again. The setting of boosting depends on
cache and task alone and has a file of its own per task.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache as once
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from trainer.baselines.boosting import Boosting
from trainer.baselines.tuning import Choice
from trainer.cache.atomic import new_file
from trainer.cache.json_files import is_intact, read_json, write_json
from trainer.cache.reader import TensorCache
from trainer.evaluation.per_trip import METRICS

CONSTANTS_OF = (
    "baselines.boosting", "baselines.counts", "baselines.examples", "baselines.own_counts",
    "baselines.registry", "baselines.signals", "baselines.tuning",
    "model.purchases.counting_prior",
)  # fmt: skip
"""Modules of `trainer` whose constants decide what baselines answer."""
ANSWERS_OF = ("baselines", "batches", "cache", "features", "model/purchases")
"""Folders of `trainer` whose code decides what baselines answer, and the setting of boosting."""
MEASURED_BY = (*ANSWERS_OF, "evaluation")
"""Those, and the one whose code decides how answers are measured."""
LIBRARIES = ("lightgbm", "numpy", "torch")


@dataclass(frozen=True)
class Measured:
    """What was measured of a scorer on n trips."""

    values: np.ndarray
    """(n, metrics) float64 as of `METRICS`, NaN where not defined."""
    hidden: np.ndarray
    """(n,) int64 hidden items."""
    unknown: np.ndarray
    """(n,) int64 hidden items outside the vocabulary."""

    def digest(self, key: str) -> str:
        """SHA-256 of all values and of what they belong to."""
        digest = hashlib.sha256(key.encode())
        for values in (self.values, self.hidden, self.unknown):
            digest.update(values.tobytes())
        return digest.hexdigest()

    def is_valid(self) -> bool:
        """Whether shapes and types are those of the attributes."""
        rows = len(self.values)
        return (self.values.shape, self.values.dtype) == ((rows, len(METRICS)), np.float64) and all(
            (part.shape, part.dtype) == ((rows,), np.int64) for part in (self.hidden, self.unknown)
        )


class BaselineStore:
    """A folder of results.

    Args:
        folder: where they are; it is made with the first of them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    @classmethod
    def beside(cls, cache: TensorCache) -> BaselineStore:
        """The store of a cache: `CACHE.baselines`, beside it."""
        folder = cache.folder.resolve()
        return cls(folder.with_name(f"{folder.name}.baselines"))

    def read(self, of: Mapping[str, Any]) -> Measured | None:
        """What was stored; None where nothing was.

        of: what the result depends on, JSON values. A damaged file counts as none, and a line on
        stderr says so.
        """
        key = _key(of)
        path = self.path(of)
        try:
            with np.load(path, allow_pickle=False) as stored:
                found = Measured(stored["values"], stored["hidden"], stored["unknown"])
                if found.is_valid() and stored["digest"].tobytes().decode() == found.digest(key):
                    return found
        except FileNotFoundError:
            return None
        except Exception:  # a wrong bit may raise anything: the zip's and numpy's readers say a lot
            pass
        print(f"{path} is damaged: its baseline is measured again", file=sys.stderr)
        return None

    def write(self, of: Mapping[str, Any], measured: Measured) -> None:
        """Store a result under what it depends on (see `read`). Raises OSError."""
        key = _key(of)
        self.folder.mkdir(parents=True, exist_ok=True)
        with new_file(self.path(of)) as fresh, fresh.open("wb") as file:
            np.savez_compressed(
                file,
                values=measured.values,
                hidden=measured.hidden,
                unknown=measured.unknown,
                digest=np.frombuffer(measured.digest(key).encode(), np.uint8),
            )

    def path(self, of: Mapping[str, Any], suffix: str = ".npz") -> Path:
        """The file of what depends on this."""
        return self.folder / f"{hashlib.sha256(_key(of).encode()).hexdigest()[:32]}{suffix}"


class StoredChoices:
    """The settings of boosting chosen for a cache, in a store. A `Choices` of boosting.

    Args:
        store: where they are.
        cache: that they were chosen for.
    """

    def __init__(self, store: BaselineStore, cache: TensorCache) -> None:
        self._store, self._of = store, of_cache(cache, ANSWERS_OF)
        self._unkept: dict[str, Choice] = {}

    def get(self, task: str) -> Choice | None:
        """What was chosen for a task; None where nothing was. A damaged file counts as none, and a
        line on stderr says so."""
        if task in self._unkept:
            return self._unkept[task]
        path, of = self._file(task)
        try:
            content = read_json(path)
            if is_intact(content) and content["of"] == of:
                return Choice.from_dict(content)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError, OSError):
            pass
        print(f"{path} is damaged: the setting of boosting in it is lost", file=sys.stderr)
        return None

    def __setitem__(self, task: str, choice: Choice) -> None:
        """Keep what was chosen; where that is impossible, in memory, and a line on stderr says
        so."""
        path, of = self._file(task)
        try:
            self._store.folder.mkdir(parents=True, exist_ok=True)
            with new_file(path) as fresh:
                write_json(fresh, {"of": of} | choice.to_dict())
        except OSError as error:
            self._unkept[task] = choice
            print(f"{task}: the setting of boosting cannot be kept: {error}", file=sys.stderr)

    def _file(self, task: str) -> tuple[Path, dict[str, Any]]:
        of = self._of | {"task": task, "choice": Boosting.name}
        return self._store.path(of, ".json"), of


def of_cache(cache: TensorCache, folders: tuple[str, ...]) -> dict[str, Any]:
    """What everything stored depends on, the code in folders of `trainer` among it."""
    return {
        "cache": cache.digest,
        # Not in the digest, but decides what shares are counted from (`receipt_item_shares`).
        "like": bool(cache.manifest.get("reference_vocabulary")),
        "definition": definition(folders),
    }


def definition(folders: tuple[str, ...]) -> str:
    """SHA-256 of constants and versions that decide what baselines answer, and of the code in
    folders of `trainer`."""
    constants = [
        (module, name, value)
        for module in CONSTANTS_OF
        for name, value in sorted(vars(import_module(f"trainer.{module}")).items())
        if name.isupper()
    ]
    versions = [_version(name) for name in LIBRARIES]
    return hashlib.sha256(repr((constants, _code(folders), versions)).encode()).hexdigest()


@once
def _code(folders: tuple[str, ...]) -> str:
    """SHA-256 of source files, as they were when they were first needed."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for folder in folders:
        for path in sorted((root / folder).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _key(of: Mapping[str, Any]) -> str:
    return json.dumps(of, sort_keys=True)
