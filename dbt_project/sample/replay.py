"""Replays: weeks whose trips are copies of earlier trips, as in the last 13 weeks of LGSR."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .baskets import Week
from .draw import stream, within

REPLAYED = 0.96
_TRIP = ("household", "store", "hour")
_ITEM = ("product", "quantity", "spend")


def save_week(folder: Path, week: int, data: Week, known: int) -> None:
    """Keep the trips of known households of a week for later replay."""
    kept = data.household < known
    items = kept[data.trip]
    size = np.bincount(data.trip, minlength=kept.size)[kept]
    columns = {name: getattr(data, name)[kept].astype(np.int32) for name in _TRIP}
    columns |= {name: getattr(data, name)[items].astype(np.int32) for name in _ITEM}
    np.savez(folder / f"{week:04d}.npz", size=size.astype(np.int32), **columns)


def merge_weeks(folder: Path) -> None:
    """Join the kept weeks into one file per column, mapped rather than loaded by each process."""
    weeks = sorted(folder.glob("*.npz"))
    for name in ("size", *_TRIP, *_ITEM):
        parts = []
        for week in weeks:
            with np.load(week, allow_pickle=False) as columns:
                parts.append(columns[name])
        np.save(folder / f"{name}.npy", np.concatenate(parts))
    for week in weeks:
        week.unlink()


@dataclass(frozen=True)
class History:
    """Trips of known households before the replayed weeks, grouped by household."""

    first: np.ndarray
    """Offsets into `trip` by household, (known + 1,)."""
    trip: np.ndarray
    """Trips by household."""
    start: np.ndarray
    """First item of each trip, one more than trips."""
    columns: dict[str, np.ndarray]
    """The kept columns, per trip and per item."""


def open_history(folder: Path, known: int) -> History:
    """Map what `merge_weeks` wrote."""
    columns = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in ("size", *_TRIP, *_ITEM)
    }
    owner = np.asarray(columns["household"])
    order = np.argsort(owner, kind="stable")
    first = np.searchsorted(owner[order], np.arange(known + 1))
    start = np.concatenate([[0], np.cumsum(columns["size"], dtype=np.int64)])
    return History(first, order, start, columns)


def replay_week(seed: int, week: int, data: Week, history: History) -> Week:
    """Replace 96 % of the trips of known households by copies of their earlier trips.

    The source is drawn uniformly from the household's kept trips. Items, quantities, spend, store
    and hour are the source's; day and basket id are new. Trips of a household without an earlier
    trip are not replaced.
    """
    rng = stream(seed, "replay", week)
    count = data.household.size
    u, v = rng.random(count), rng.random(count)
    known = history.first.size - 1
    who = np.minimum(data.household, known - 1)
    trips = history.first[who + 1] - history.first[who]
    copied = (data.household < known) & (trips > 0) & (u < REPLAYED)
    target = np.flatnonzero(copied)
    chosen = history.first[who[target]] + (v[target] * trips[target]).astype(np.int64)
    source = history.trip[chosen]
    size = history.start[source + 1] - history.start[source]
    item = np.repeat(history.start[source], size) + within(size)

    store, hour = data.store.copy(), data.hour.copy()
    store[target] = history.columns["store"][source]
    hour[target] = history.columns["hour"][source]
    fresh = ~copied[data.trip]
    trip = np.concatenate([data.trip[fresh], np.repeat(target, size)])
    order = np.argsort(trip, kind="stable")
    items = {
        name: np.concatenate([getattr(data, name)[fresh], history.columns[name][item]])[order]
        for name in _ITEM
    }
    return replace(data, store=store, hour=hour, trip=trip[order], **items)
