"""What follows a trip: the days until the next one, and the customer's stores seen from that day.

Read off whole timelines at once, without a loop over trips. A gap that has not ended on the last
day that may be read is censored: it says that the customer stayed away until then, and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.cache.ragged import offsets, ranges
from trainer.cache.reader import TensorCache
from trainer.features.calendar import DAY_COLUMNS, training_days, trips_by_week
from trainer.features.circumstances import Circumstances
from trainer.features.purchases import HISTORY_TRIPS
from trainer.features.tensors import TensorRecord

HORIZON = 91
"""Days after a trip that have a probability each; all later ones share one."""
TAIL = HORIZON + 1
"""Days since the trip, of any later day."""
NEW_STORE = -1
"""In the place of one of the customer's stores: any other."""
WHEN = (
    "trips back / 20", "log trips back", "days / 60", "log days", "same weekday", "weekend",
    "last store", "after last store",
)  # fmt: skip
"""Columns of `OwnTrips.when`: an earlier trip seen from the day of the next one. `weekend`: both
lie on one, or neither; the last two: to the store of the last trip, or after a trip to it."""
WEEKEND = (1, 7)


@dataclass(frozen=True)
class RecordedDays:
    """The calendar, and which of its days have records of trips."""

    calendar: Mapping[str, np.ndarray]
    """(days,) each, the values of `DAY_COLUMNS`."""
    first: int
    """Index of the first day, in days since the first training day."""
    recorded: np.ndarray
    """(days,) bool: whether the records hold its week at all."""
    last: int
    """Index of the last day that may be read."""

    @classmethod
    def of(cls, cache: TensorCache, last_week: int) -> RecordedDays:
        """Those of a cache, of which nothing after a week may be read."""
        week = cache["days.week"].astype(np.int64)
        first = -training_days(cache).start
        return cls(
            calendar={name: cache[f"days.{name}"].astype(np.int64) for name in DAY_COLUMNS},
            first=first,
            recorded=np.isin(week, np.flatnonzero(trips_by_week(cache))),
            last=first + int(np.flatnonzero(week <= last_week)[-1]),
        )


@dataclass(frozen=True)
class DaysAfter(TensorRecord):
    """P recorded days after V trips, until the customer came."""

    visit: Tensor
    """(P,) int64 which of the V trips, ascending; the days of each ascend too."""
    day: Tensor
    """(P,) int64 index into the calendar."""
    gap: Tensor
    """(P,) int64 days since the trip, 0 to `HORIZON`; `TAIL` for all later days together."""
    stayed: Tensor
    """(P,) float32 days without a visit: 0 or 1; of the tail any number."""
    came: Tensor
    """(P,) bool: the customer came on this day, or on the last of the tail."""


@dataclass(frozen=True)
class OwnTrips(TensorRecord):
    """The trips of V customers so far, E in all, and their stores, C in all."""

    visit: Tensor
    """(E,) int64 which customer, ascending."""
    store: Tensor
    """(E,) int64 where: one of the C stores."""
    hour: Tensor
    """(E,) int64 at which hour of the day."""
    kind: Tensor
    """(E, 4) int64 codes of its kind, 0 unknown."""
    weekday: Tensor
    """(E,) int64 on which day of the week, 0 to 6."""
    gap: Tensor
    """(E,) int64 days until the customer's next trip, at most `TAIL`; -1 for the last of each
    customer, of which that is asked."""
    when: Tensor
    """(E, columns) float32, see `WHEN`."""
    store_visit: Tensor
    """(C,) int64 which customer's each store is, ascending."""
    identity: Tensor
    """(C,) int64 stores row + 1, ascending for each customer; all stores without a row are one, 0.
    """
    trips: Tensor
    """(V,) int64 how many trips, at most `HISTORY_TRIPS`."""


@dataclass(frozen=True)
class Visits(TensorRecord):
    """What follows V trips of a batch."""

    trip: Tensor
    """(V,) int64 index into the batch's trips, ascending."""
    next: Tensor
    """(V,) int64 the customer's next trip; `trip` itself where none is recorded."""
    came: Tensor
    """(V,) bool: there is a next trip. Otherwise the gap is censored."""
    gap: Tensor
    """(V,) int64 days between the two, at most `TAIL`; to the last day where it is censored."""
    day: Tensor
    """(V,) int64 index into the calendar, of the next trip or the last day."""
    store: Tensor
    """(V,) int64 the next trip's: one of the C stores of `own`, or `NEW_STORE`."""
    days: DaysAfter
    own: OwnTrips
    calendar: dict[str, Tensor]
    """(days,) int64 each, `DAY_COLUMNS`."""

    def __len__(self) -> int:
        return len(self.trip)


def visits_after(
    timelines: np.ndarray, trips: Circumstances, is_asked: np.ndarray, days: RecordedDays
) -> Visits:
    """What follows some trips of whole timelines.

    timelines (n,) number of trips of each; trips: of which none lies after `days.last`; is_asked
    (T,) bool: after which of them to look.
    """
    trip = np.flatnonzero(is_asked)
    stop = np.repeat(offsets(timelines)[1:], timelines)[trip]
    came = trip + 1 < stop
    following = np.where(came, trip + 1, trip)
    day = trips.day.astype(np.int64) - days.first
    until = np.where(came, day[following], days.last - days.first)
    own = own_trips(timelines, trips, trip, until, days)
    return Visits(
        trip=_numbers(trip),
        next=_numbers(following),
        came=torch.from_numpy(came),
        gap=_numbers(np.minimum(until - day[trip], TAIL)),
        day=_numbers(until),
        store=_numbers(find_stores(own, trips.store[following])),
        days=days_after(day[trip], until, came, days.recorded),
        own=own,
        calendar={name: _numbers(values) for name, values in days.calendar.items()},
    )


def days_after(
    start: np.ndarray, until: np.ndarray, came: np.ndarray, recorded: np.ndarray
) -> DaysAfter:
    """The recorded days from each start to the day `until`, both included.

    start, until (V,) indices into recorded (days,); came (V,) bool: whether the customer came on
    the last of them.
    """
    daily = np.minimum(until - start, HORIZON) + 1
    visit = np.repeat(np.arange(len(start)), daily)
    day = ranges(start, daily)
    visit, day = visit[recorded[day]], day[recorded[day]]
    here = came[visit] & (day == until[visit])
    # The days of the tail have one probability, so that their number says all.
    before = offsets(recorded)
    late = np.flatnonzero(until - start > HORIZON)
    tail = start[late] + HORIZON
    days = before[until[late] + 1] - before[tail + 1]
    visit = np.concatenate([visit, late])
    order = np.argsort(visit, kind="stable")

    def joined(of_days: np.ndarray, of_tail: np.ndarray) -> np.ndarray:
        return np.concatenate([of_days, of_tail])[order]

    return DaysAfter(
        visit=_numbers(visit[order]),
        day=_numbers(joined(day, tail)),
        gap=_numbers(joined(day - start[visit[: len(day)]], np.full(len(late), TAIL))),
        stayed=torch.from_numpy(joined(~here, days - came[late]).astype(np.float32)),
        came=torch.from_numpy(joined(here, came[late])),
    )


def own_trips(
    timelines: np.ndarray, trips: Circumstances, trip: np.ndarray, until: np.ndarray,
    days: RecordedDays,
) -> OwnTrips:  # fmt: skip
    """The trips of each timeline up to trip (V,) of it, seen from day `until` (V,), an index into
    the calendar."""
    first = np.repeat(offsets(timelines)[:-1], timelines)[trip]
    first = np.maximum(first, trip + 1 - HISTORY_TRIPS)
    count = trip + 1 - first
    visit, earlier = np.repeat(np.arange(len(trip)), count), ranges(first, count)
    base = int(trips.store.max(initial=0)) + 1
    cells, cell = np.unique(visit * base + trips.store[earlier], return_inverse=True)
    day = trips.day[earlier].astype(np.int64) - days.first
    back, since = trip[visit] - earlier, until[visit] - day
    weekday = np.asarray(days.calendar["weekday"])
    now, then = weekday[until[visit]], weekday[day]
    last = trips.store[trip[visit]]
    gap = np.minimum(np.append(np.diff(trips.day), 0), TAIL)[earlier]
    when = [
        back / 20, np.log1p(back), since / 60, np.log1p(since), now == then,
        np.isin(now, WEEKEND) == np.isin(then, WEEKEND), trips.store[earlier] == last,
        (earlier > first[visit]) & (trips.store[earlier - 1] == last),
    ]  # fmt: skip
    return OwnTrips(
        visit=_numbers(visit),
        store=_numbers(cell),
        hour=_numbers(trips.hour[earlier]),
        kind=_numbers(trips.kind[earlier]),
        weekday=_numbers(then - 1),
        gap=_numbers(np.where(back == 0, -1, gap)),
        when=torch.from_numpy(np.stack(when, axis=1).astype(np.float32)),
        store_visit=_numbers(cells // base),
        identity=_numbers(cells % base),
        trips=_numbers(count),
    )


def find_stores(own: OwnTrips, identity: np.ndarray) -> np.ndarray:
    """(V,) which of the C stores of `own` has this identity (V,), or `NEW_STORE`."""
    known = own.identity.numpy()
    base = 1 + max(int(known.max(initial=0)), int(identity.max(initial=0)))
    keys = own.store_visit.numpy() * base + known
    wanted = np.arange(len(identity)) * base + identity
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[place] == wanted, place, NEW_STORE)


def _numbers(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.int64))
