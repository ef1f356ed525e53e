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

Gaps say when: days and trips since the last purchase, days since the first, and the usual days
between two purchases (-1 for a product bought once).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from trainer.data.batch import Items, OwnProducts, Trips
from trainer.data.ragged import offsets

RATES = (1.0, 0.98, 0.95, 0.8, 0.5)
DAYS = 60.0
LIKENESS_RATE, HOURS, KIND_GAIN = 0.97, 4.0, 1.0
NEIGHBOUR_RATE, NEIGHBOUR_GAIN = 0.95, 6.0
COUNTS = (*(f"trips {rate:g}" for rate in RATES), "days", "store", "hour", "kind", "neighbours")
"""Names of the columns of `OwnProducts.counts`."""
GAPS = ("days since", "trips since", "days since first", "usual days")
"""Names of the columns of `OwnProducts.gaps`."""


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
    parts = []
    for index, (start, stop) in enumerate(zip(first_trip[:-1], first_trip[1:], strict=True)):
        own_items = slice(item_range[index], item_range[index + 1])
        seen = slice(seen_range[index], seen_range[index + 1])
        entry, *columns = _of_timeline(
            trips[start:stop],
            trip[own_items] - start, token[own_items],
            seen_trip[seen] - start, seen_token[seen],
            np.flatnonzero(asked[start:stop]),
            shown_kind[question[start] : question[stop]], products,
        )  # fmt: skip
        parts.append((question[start] + entry, *columns))
    return OwnProducts(
        *(torch.from_numpy(np.concatenate(column)) for column in zip(*parts, strict=True))
    )


def _of_timeline(trips, trip, token, seen_trip, seen_token, rows, shown_kind, products):
    """Rows (E,), tokens (E,), counts (E, COUNTS) and gaps (E, GAPS) of one timeline.

    rows (R,) are the asked trips.
    """
    count = len(trips.day)
    own, slot = np.unique(token, return_inverse=True)
    bought = np.zeros((count, len(own)), dtype=np.float32)
    bought[trip, slot] = 1
    age = rows[:, None] - 1 - np.arange(count)
    # After the powers, so that what is later weighs nothing at any rate.
    earlier, age = age >= 0, age.clip(min=0)
    powers = {
        rate: np.where(earlier, _powers(rate, count)[age], 0)
        for rate in {*RATES, LIKENESS_RATE, NEIGHBOUR_RATE}
    }
    days = trips.day[rows, None] - trips.day
    hours = np.abs(trips.hour[rows, None] - trips.hour)
    same_store = (trips.store[rows, None] == trips.store) & (trips.store > 0)
    agree = (shown_kind[:, None] == trips.kind) & (shown_kind[:, None] > 0)
    likeness = powers[LIKENESS_RATE]
    weights = [
        *(powers[rate] for rate in RATES),
        np.where(earlier, np.exp(-days.clip(min=0) / DAYS, dtype=np.float32), 0),
        likeness * same_store,
        likeness * np.exp(-hours / HOURS, dtype=np.float32),
        _scaled(likeness, np.exp(KIND_GAIN * agree.sum(2), dtype=np.float32)),
        _scaled(
            powers[NEIGHBOUR_RATE],
            np.exp(NEIGHBOUR_GAIN * _overlap(bought, seen_trip, seen_token, own)[rows]),
        ),
    ]
    counts = np.stack([weight @ bought for weight in weights], axis=2)
    entry, column = np.nonzero((counts[..., 0] > 0) & (own <= products))
    gaps = _gaps(trips.day, bought, rows, counts[..., 0])
    return entry, own[column].astype(np.int64), counts[entry, column], gaps[entry, column]


def _gaps(day, bought, rows, times) -> np.ndarray:
    """(R, own, GAPS) float32 where a product was bought before; anything elsewhere."""
    trip = np.arange(len(day))[:, None]
    last = np.maximum.accumulate(np.where(bought > 0, trip, 0))[(rows - 1).clip(min=0)]
    first = bought.argmax(0)
    span = day[last] - day[first]
    usual = np.where(times > 1, span / np.maximum(times - 1, 1), -1)
    now = day[rows, None]
    gaps = [now - day[last], rows[:, None] - 1 - last, now - day[first], usual]
    return np.stack(gaps, axis=2).astype(np.float32)


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
    return (visible @ bought.T) / np.sqrt(np.maximum(lengths, 1, dtype=np.float32))


def _powers(rate: float, count: int) -> np.ndarray:
    return rate ** np.arange(count, dtype=np.float32)
