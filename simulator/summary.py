"""Trips, items and spend by week: of runs, and of the weeks before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simulator.receipts import Receipts
from trainer.cache.reader import TensorCache
from trainer.cache.rows import customer_of
from trainer.report.simulated import ENOUGH, FIGURES, middle

SUMMARY = "summary.json"
HISTORY = 26
"""Weeks of the history beside the simulated ones."""


def by_week(receipts: Receipts, start: int, weeks: int) -> dict[str, list[int]]:
    """`FIGURES` of a run, a value for each week after the start."""
    known = receipts.customer != -1
    place = receipts.week - start - 1
    trip = np.repeat(np.arange(len(known)), receipts.items)
    spend = np.bincount(trip, receipts.pence, len(known))
    found = _figures(
        place[known], receipts.customer[known], receipts.items[known], spend[known], weeks
    )
    return found | {"anonymous_trips": np.bincount(place[~known], minlength=weeks).tolist()}


def before(cache: TensorCache, start: int) -> dict[str, list[int]]:
    """The same of the weeks that end with the start; anonymous trips are in no cache."""
    weeks = min(HISTORY, start)
    place = cache["trips.week"].astype(np.int64) - (start - weeks + 1)
    rows = np.flatnonzero((place >= 0) & (place < weeks))
    items = np.diff(cache["trips.item_offsets"].astype(np.int64))
    spend = cache["trips.spend_pence"]
    return _figures(place[rows], customer_of(cache, rows), items[rows], spend[rows], weeks)


def summary(
    cache: TensorCache, weights_digest: str, start: int, scenario: str | None, seed: int,
    runs: Sequence[Mapping[str, list[int]]],
) -> dict[str, Any]:  # fmt: skip
    """JSON values: the weeks before the start, and each run's weeks after it, which
    `trainer.report` reads. scenario: name of its file; seed: of the first run."""
    return {
        "simulated_weeks": [start + 1, start + len(runs[0]["trips"])],
        "cache_digest": cache.digest,
        "weights_digest": weights_digest,
        "scenario": scenario,
        "seed": seed,
        "before": before(cache, start),
        "runs": [dict(run) for run in runs],
    }


def lines(content: Mapping[str, Any]) -> list[str]:
    """The weeks as a table of text: means of runs, with the middle 90 % where there are enough."""
    first, last = content["simulated_weeks"]
    found = ["| week | " + " | ".join(name.replace("_", " ") for name in FIGURES) + " |"]
    found.append("|---" * (1 + len(FIGURES)) + "|")
    values = {name: np.array([run[name] for run in content["runs"]]) for name in FIGURES}
    for place in range(last - first + 1):
        cells = [_cell(values[name][:, place]) for name in FIGURES]
        found.append(f"| {first + place} | " + " | ".join(cells) + " |")
    return found


def _figures(
    place: np.ndarray, customer: np.ndarray, items: np.ndarray, spend: np.ndarray, weeks: int
) -> dict[str, list[int]]:
    """Sums by week of trips, (n,) each; place: the week's, from 0."""
    who, visitor = np.unique(customer, return_inverse=True)
    came = np.zeros((weeks, len(who)), bool)
    came[place, visitor] = True
    sums = {
        "trips": np.bincount(place, minlength=weeks),
        "customers": came.sum(1),
        "items": np.bincount(place, items, weeks),
        "spend_pence": np.bincount(place, spend, weeks),
    }
    return {name: values.astype(np.int64).tolist() for name, values in sums.items()}


def _cell(values: np.ndarray) -> str:
    mean = f"{values.mean():,.0f}"
    if len(values) < ENOUGH:
        return mean
    low, high = middle(values)
    return f"{mean} [{low:,.0f}, {high:,.0f}]"
