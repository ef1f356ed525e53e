"""Simulated weeks, read from the file that the simulator wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainer.cache.json_files import is_intact, read_json
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.report.run import Run
from trainer.training.folder import BEST

BEFORE = ("trips", "customers", "items", "spend_pence")
"""What is known of each week, simulated or not; of customers who are known."""
FIGURES = (*BEFORE, "anonymous_trips")
"""What is known of each simulated week."""
ENOUGH = 10
"""Runs from which on the middle 90 % are told; of fewer, each is shown."""


@dataclass(frozen=True)
class SimulatedWeeks:
    """Several runs of the weeks after a start, and the weeks before it."""

    first: int
    """The first simulated week."""
    before: Mapping[str, np.ndarray]
    """By name in `BEFORE`: (weeks,) of the weeks that end with the start."""
    runs: Mapping[str, np.ndarray]
    """By name in `FIGURES`: (runs, weeks)."""
    scenario: str | None
    """Name of the file that says what changes; None where nothing does."""

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SimulatedWeeks:
        """What `simulator.summary` wrote. Raises ValueError, KeyError or TypeError for others."""
        first, last = map(int, content["simulated_weeks"])
        before = {name: _counts(content["before"][name], 1) for name in BEFORE}
        runs = {name: _counts([run[name] for run in content["runs"]], 2) for name in FIGURES}
        shapes = {values.shape for values in runs.values()}
        if {shape[1:] for shape in shapes} != {(last - first + 1,)} or len(shapes) > 1:
            raise ValueError(f"runs of {sorted(shapes)} figures for weeks {first} to {last}")
        if len({len(values) for values in before.values()}) > 1 or first <= len(before["trips"]):
            raise ValueError("weeks before the start")
        scenario = content["scenario"]
        return cls(first, before, runs, None if scenario is None else str(scenario))


def read_simulation(path: Path, run: Run, cache: TensorCache) -> SimulatedWeeks:
    """The weeks in a `summary.json` that `python -m simulator.run` wrote.

    Raises InputError if the file is not of this kind, was changed, or is of another cache or of
    other weights than the run's best; OSError if it cannot be read.
    """
    try:
        content = read_json(path)
        weeks = SimulatedWeeks.from_dict(content)
        digests = str(content["cache_digest"]), str(content["weights_digest"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not a summary.json of python -m simulator.run: "
            f"{type(error).__name__} {error}"
        ) from None
    if not is_intact(content):
        raise InputError(f"{path} was changed after python -m simulator.run wrote it")
    for what, found, expected, where in (
        ("another cache", digests[0], cache.digest, cache.folder),
        ("other weights", digests[1], run.weights_digest, run.folder / BEST),
    ):
        if found != expected:
            raise InputError(
                f"{path} was simulated with {what} ({found[:12]}) than {where} "
                f"({expected[:12]}): simulate again"
            )
    return weeks


def middle(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the middle 90 % of runs, the first axis of values."""
    low, high = np.quantile(values, (0.05, 0.95), axis=0)
    return low, high


def _counts(values: Any, dimensions: int) -> np.ndarray:
    """Whole numbers from 0. Raises ValueError for anything else."""
    found = np.asarray(values)
    if found.ndim != dimensions or not found.size or found.dtype.kind != "i" or found.min() < 0:
        raise ValueError("expected whole numbers from 0")
    return found
