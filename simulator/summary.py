"""Trips, items and spend by week: of runs, and of the weeks before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simulator.receipts import Receipts
from trainer.cache.reader import TensorCache

SUMMARY = "summary.json"
FIGURES = ("trips", "customers", "items", "spend_pence", "anonymous_trips")
"""By week: of customers, and anonymous trips, of which a cache knows none of the weeks before."""
BEFORE = 26
"""Weeks of the history beside the simulated ones."""
BAND = (0.05, 0.95)


def by_week(receipts: Receipts, start: int, weeks: int) -> dict[str, list[int]]:
    """`FIGURES` of a run, a value for each week after the start."""
    known = receipts.customer != -1
    place = receipts.week - start - 1
    trip = np.repeat(np.arange(len(known)), receipts.items)
    spend = np.bincount(trip, receipts.pence, len(known))
    pairs = np.unique(np.stack([place[known], receipts.customer[known]]), axis=1)
    return {
        name: np.bincount(where, weights, weeks).astype(np.int64).tolist()
        for name, where, weights in (
            ("trips", place[known], None),
            ("customers", pairs[0], None),
            ("items", place[known], receipts.items[known]),
            ("spend_pence", place[known], spend[known]),
            ("anonymous_trips", place[~known], None),
        )
    }


def summary(
    cache: TensorCache, start: int, weeks: int, runs: Sequence[Mapping[str, list[int]]]
) -> dict[str, Any]:
    """JSON values: the weeks before the start, and each run's weeks after it."""
    first = max(start - BEFORE + 1, 1)
    week = cache["trips.week"].astype(np.int64)
    chosen = (week >= first) & (week <= start)
    place = week[chosen] - first
    trips = np.diff(cache["customers.trip_offsets"].astype(np.int64))
    customer = np.repeat(np.arange(len(trips)), trips)[chosen]
    items = np.diff(cache["trips.item_offsets"].astype(np.int64))[chosen]
    pairs = np.unique(np.stack([place, customer]), axis=1)
    count = start - first + 1
    before = {
        name: np.bincount(where, weights, count).astype(np.int64).tolist()
        for name, where, weights in (
            ("trips", place, None),
            ("customers", pairs[0], None),
            ("items", place, items),
            ("spend_pence", place, cache["trips.spend_pence"][chosen]),
        )
    }
    return {
        "simulated weeks": [start + 1, start + weeks],
        "cache_digest": cache.digest,
        "before": {"first_week": first} | before,
        "runs": [dict(run) for run in runs],
    }


def lines(content: Mapping[str, Any]) -> list[str]:
    """The weeks as a table of text: means of runs, with the middle 90 % where there are many."""
    first, last = content["simulated weeks"]
    found = ["| week | " + " | ".join(name.replace("_", " ") for name in FIGURES) + " |"]
    found.append("|---" * (1 + len(FIGURES)) + "|")
    values = {name: np.array([run[name] for run in content["runs"]]) for name in FIGURES}
    for place in range(last - first + 1):
        cells = [_cell(values[name][:, place]) for name in FIGURES]
        found.append(f"| {first + place} | " + " | ".join(cells) + " |")
    return found


def _cell(values: np.ndarray) -> str:
    mean = f"{values.mean():,.0f}"
    if len(values) < 10:
        return mean
    low, high = np.quantile(values, BAND)
    return f"{mean} [{low:,.0f}, {high:,.0f}]"
