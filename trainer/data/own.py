"""What counting knows: how often and when a customer bought each product before.

For every question and every product that the customer bought on an earlier trip of the timeline,
a few numbers. Of a trip s that lies a = t - 1 - s trips before the last one before trip t, counts
are sums over the earlier trips with the product of

- rate^a, for several rates (exponential smoothing; with rate 1 the number of trips with it);
- exp(-days / 60), days between the trips;
- 0.97^a on trips at the same store, 0 on others;
- 0.97^a exp(-hours / 4), hours of the day between the trips;
- 0.97^a exp(m), m how many of the four columns of the trip context agree; where the context is
  hidden none does;
- 0.95^a exp(6 c), c the cosine of the trip's items with what is visible of the basket.

The last two are scaled so that all earlier trips together weigh what the powers alone would:
without context or visible items they are decayed counts.

Likeness says the same about pairs of question and earlier trip, for a model that learns its own
weights: how long ago, which columns of the context agree, and so on.

Gaps say when: days and trips since the last purchase, days since the first, and the usual days
between two purchases (-1 for a product bought once).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from trainer.data.batch import EarlierTrips, Items, OwnProducts, Trips
from trainer.data.ragged import offsets, ranges

RATES = (1.0, 0.98, 0.95, 0.8, 0.5)
DAYS = 60.0
LIKENESS_RATE, HOURS, KIND_GAIN = 0.97, 4.0, 1.0
NEIGHBOUR_RATE, NEIGHBOUR_GAIN = 0.95, 6.0
COUNTS = (*(f"trips {rate:g}" for rate in RATES), "days", "store", "hour", "kind", "neighbours")
"""Names of the columns of `OwnProducts.counts`."""
GAPS = ("days since", "trips since", "days since first", "usual days")
"""Names of the columns of `OwnProducts.gaps`."""
LIKENESS = (
    "trips back / 20", "log(1 + trips back)", "days / 60", "same size", "same sensitivity",
    "same type", "same focus", "same store", "same weekday", "hours / 4", "cosine", "log size",
)  # fmt: skip
"""Names of the columns of `EarlierTrips.likeness`."""


@dataclass(frozen=True)
class Circumstances:
    """When, where and of which kind the T trips of a batch were."""

    day: np.ndarray
    """(T,) days, ascending within a timeline."""
    hour: np.ndarray
    """(T,) of the day."""
    store: np.ndarray
    """(T,) identities, 0 for unknown ones, which are like no other."""
    kind: np.ndarray
    """(T, 4) true codes of the trip context, 0 unknown."""

    @classmethod
    def of(cls, trips: Trips) -> Circumstances:
        """Those of a batch's trips."""
        calendar = trips.calendar
        return cls(
            calendar["day"].numpy(), calendar["hour"].numpy(), trips.store[:, -1].numpy(),
            trips.context.numpy(),
        )  # fmt: skip

    def __getitem__(self, part: slice) -> Circumstances:
        return Circumstances(self.day[part], self.hour[part], self.store[part], self.kind[part])


def own_products(
    timelines: np.ndarray,
    trips: Circumstances,
    items: Items,
    asked: np.ndarray,
    shown_kind: np.ndarray,
    seen_trip: np.ndarray,
    seen_token: np.ndarray,
    products: int,
) -> OwnProducts:
    """Counts and gaps for the asked trips of a batch of timelines.

    timelines (n,) trips of each; items the true ones; asked (T,) bool; shown_kind (Q, 4) codes of
    the asked trips, 0 where hidden; seen_trip (S,) and seen_token (S,) what is visible of the asked
    baskets, by trip. Products without a token of their own (token > products) are left out.
    """
    trip, token = items.trip.numpy(), items.token.numpy()
    question = offsets(asked)
    first_trip = offsets(timelines)
    item_range = np.searchsorted(trip, first_trip)
    seen_range = np.searchsorted(seen_trip, first_trip)
    parts, entries, pairs = [], 0, 0
    for index, (start, stop) in enumerate(zip(first_trip[:-1], first_trip[1:], strict=True)):
        own_items = slice(item_range[index], item_range[index + 1])
        seen = slice(seen_range[index], seen_range[index + 1])
        timeline = _Timeline(
            trips[start:stop],
            trip[own_items] - start, token[own_items],
            seen_trip[seen] - start, seen_token[seen],
            np.flatnonzero(asked[start:stop]),
            shown_kind[question[start] : question[stop]],
        )  # fmt: skip
        entry, *columns = timeline.products(products)
        of_pair, likeness, pair, of_entry = timeline.earlier_trips(entry, columns[0])
        parts.append(
            (
                question[start] + entry, *columns,
                question[start] + of_pair, likeness, pairs + pair, entries + of_entry,
            )
        )  # fmt: skip
        entries, pairs = entries + len(entry), pairs + len(of_pair)
    columns = [torch.from_numpy(np.concatenate(column)) for column in zip(*parts, strict=True)]
    return OwnProducts(*columns[:4], EarlierTrips(*columns[4:]))


class _Timeline:
    """One timeline as matrices: R asked trips, T trips, and the products bought on any of them."""

    def __init__(self, trips, trip, token, seen_trip, seen_token, rows, shown_kind) -> None:
        self.trips, self.rows = trips, rows
        self.count = len(trips.day)
        self.own, self.slot = np.unique(token, return_inverse=True)
        self.offsets = np.searchsorted(trip, np.arange(self.count + 1))
        self.bought = np.zeros((self.count, len(self.own)), dtype=np.float32)
        self.bought[trip, self.slot] = 1
        age = rows[:, None] - 1 - np.arange(self.count)
        self.earlier, self.age = age >= 0, age.clip(min=0)
        self.days = (trips.day[rows, None] - trips.day).clip(min=0)
        self.hours = np.abs(trips.hour[rows, None] - trips.hour)
        self.same_store = (trips.store[rows, None] == trips.store) & (trips.store > 0)
        self.agree = (shown_kind[:, None] == trips.kind) & (shown_kind[:, None] > 0)
        self.cosine = _overlap(self.bought, seen_trip, seen_token, self.own)[rows]

    def products(self, products):
        """Rows (E,), tokens (E,), counts (E, COUNTS) and gaps (E, GAPS)."""
        rates = {*RATES, LIKENESS_RATE, NEIGHBOUR_RATE}
        # Zero after the powers, so that what is later weighs nothing at any rate.
        powers = {r: np.where(self.earlier, _powers(r, self.count)[self.age], 0) for r in rates}
        likeness = powers[LIKENESS_RATE]
        weights = [
            *(powers[rate] for rate in RATES),
            np.where(self.earlier, np.exp(-self.days / DAYS, dtype=np.float32), 0),
            likeness * self.same_store,
            likeness * np.exp(-self.hours / HOURS, dtype=np.float32),
            _scaled(likeness, np.exp(KIND_GAIN * self.agree.sum(2), dtype=np.float32)),
            _scaled(powers[NEIGHBOUR_RATE], np.exp(NEIGHBOUR_GAIN * self.cosine)),
        ]
        # One product of matrices by torch, whose threads are the trainer's: numpy's would compete.
        weights = torch.from_numpy(np.concatenate(weights, dtype=np.float32))
        counts = (weights @ torch.from_numpy(self.bought)).numpy()
        counts = counts.reshape(len(COUNTS), len(self.rows), len(self.own))
        entry, column = np.nonzero((counts[0] > 0) & (self.own <= products))
        token = self.own[column].astype(np.int64)
        return entry, token, counts[:, entry, column].T, self._gaps(entry, column, counts[0])

    def _gaps(self, entry, column, times):
        """(E, GAPS) float32; times (R, own): on how many earlier trips each was bought."""
        day, row = self.trips.day, self.rows[entry]
        trip = np.arange(self.count)[:, None]
        last = np.maximum.accumulate(np.where(self.bought > 0, trip, 0))[row - 1, column]
        first = self.bought.argmax(0)[column]
        times = times[entry, column]
        usual = np.where(times > 1, (day[last] - day[first]) / np.maximum(times - 1, 1), -1)
        now = day[row]
        gaps = [now - day[last], row - 1 - last, now - day[first], usual]
        return np.stack(gaps, axis=1).astype(np.float32)

    def earlier_trips(self, row, token):
        """Of each pair its row and likeness; of each item in a pair its pair and its entry.

        row, token (E,): the entries of `products`.
        """
        of_pair, trip = np.nonzero(self.earlier)
        age = self.age[of_pair, trip]
        size = np.log(np.diff(self.offsets).clip(min=1))
        weekday = self.trips.day % 7
        likeness = [
            age / 20, np.log1p(age), self.days[of_pair, trip] / 60,
            *self.agree[of_pair, trip].T, self.same_store[of_pair, trip],
            weekday[self.rows[of_pair]] == weekday[trip], self.hours[of_pair, trip] / 4,
            self.cosine[of_pair, trip], size[trip],
        ]  # fmt: skip
        lengths = np.diff(self.offsets)[trip]
        pair = np.repeat(np.arange(len(trip)), lengths)
        grid = np.full((len(self.rows), len(self.own)), -1)
        grid[row, np.searchsorted(self.own, token)] = np.arange(len(row))
        entry = grid[of_pair[pair], self.slot[ranges(self.offsets[trip], lengths)]]
        own = entry >= 0  # not a product without a token of its own
        return of_pair, np.stack(likeness, axis=1).astype(np.float32), pair[own], entry[own]


def _scaled(weight: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """weight x gain, each row with the sum of weight's row."""
    gained = weight * gain
    least = np.finfo(np.float32).tiny
    return gained * (weight.sum(1) / np.maximum(gained.sum(1), least))[:, None]


def _overlap(bought, seen_trip, seen_token, own) -> np.ndarray:
    """Cosine of what is visible of each trip (rows) with each trip (columns)."""
    visible = np.zeros_like(bought)
    place = np.searchsorted(own, seen_token).clip(max=len(own) - 1)
    known = own[place] == seen_token
    visible[seen_trip[known], place[known]] = 1
    lengths = np.bincount(seen_trip, minlength=len(bought))[:, None] * bought.sum(1)
    both = (torch.from_numpy(visible) @ torch.from_numpy(bought).T).numpy()
    return both / np.sqrt(np.maximum(lengths, 1, dtype=np.float32))


def _powers(rate: float, count: int) -> np.ndarray:
    return rate ** np.arange(count, dtype=np.float32)
