"""Earlier purchases as flat arrays: which question knows of which trip, and what was bought on it.

A batch of timelines at once, without a loop over trips, customers or products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.cache.ragged import offsets, ranges
from trainer.features.trips import Items

HISTORY_TRIPS = 1024
"""Earlier trips that count, the most recent ones: this bounds what is remembered of a customer. Of
4,030 LGSR customers the one with most has 900 in 117 weeks."""


@dataclass(frozen=True)
class Pairs:
    """P pairs of a question and an earlier trip of its timeline, by question, then by time.

    Of more than `HISTORY_TRIPS` earlier trips the oldest are left out.
    """

    timeline: np.ndarray
    """(T,) of each trip."""
    target_trip: np.ndarray
    """(Q,) the trip of each question."""
    question: np.ndarray
    """(P,)."""
    trip: np.ndarray
    """(P,) the earlier one."""
    age: np.ndarray
    """(P,) trips between the two."""

    @classmethod
    def of(cls, timelines: np.ndarray, target_trip: np.ndarray) -> Pairs:
        """timelines (n,): number of trips of each; target_trip (T,) bool."""
        timeline = np.repeat(np.arange(len(timelines)), timelines)
        target_trip = np.flatnonzero(target_trip)
        first = offsets(timelines)[timeline[target_trip]]
        first = np.maximum(first, target_trip - HISTORY_TRIPS)
        question = np.repeat(np.arange(len(target_trip)), target_trip - first)
        trip = ranges(first, target_trip - first)
        return cls(timeline, target_trip, question, trip, target_trip[question] - 1 - trip)


class PurchaseIndex:
    """What was bought on the trips of pairs, as cells: a question and a product bought on any trip
    of its timeline, by question, then by token."""

    def __init__(self, pairs: Pairs, items: Items, *tokens: np.ndarray) -> None:
        """pairs: whose trips. items: of all trips. tokens: further ones that `at` will look up."""
        self._pairs = pairs
        token = items.token.numpy()
        self._base = 1 + max(int(part.max(initial=0)) for part in (token, *tokens))
        # Unknown products share tokens: one that is twice in a basket counts once.
        trip, token = np.divmod(np.unique(items.trip.numpy() * self._base + token), self._base)
        self._key, product = np.unique(
            pairs.timeline[trip] * self._base + token, return_inverse=True
        )
        timeline = pairs.timeline[pairs.target_trip]
        first = np.searchsorted(self._key, np.arange(pairs.timeline[-1] + 2) * self._base)
        cells = np.diff(first)[timeline]
        self._first = offsets(cells)
        self._shift = self._first[:-1] - first[timeline]
        self.question = np.repeat(np.arange(len(cells)), cells)
        """(cells,) question of each cell."""
        self.token = self._key[ranges(first[timeline], cells)] % self._base
        """(cells,) and its product."""
        item = np.searchsorted(trip, np.arange(len(pairs.timeline) + 1))
        self.sizes = np.diff(item)
        """(T,) products of each trip."""
        self.items = np.bincount(items.trip.numpy(), minlength=len(self.sizes))
        """(T,) items of each trip."""
        sizes = self.sizes[pairs.trip]
        self.pair = np.repeat(np.arange(len(sizes)), sizes)
        """(U,) the pair of each purchase."""
        self.cell = (
            self._shift[pairs.question[self.pair]] + product[ranges(item[pairs.trip], sizes)]
        )
        """(U,) and its cell."""
        self.times = np.bincount(self.cell, minlength=len(self.token))
        """(cells,) earlier trips with the product."""

    def sum(self, weights: np.ndarray) -> np.ndarray:
        """(cells,): of weights (P,) over the earlier trips with the product."""
        return np.bincount(self.cell, weights[self.pair], minlength=len(self.token))

    def at(self, listed: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """(cells,) bool: these products of these target trips."""
        trip, token = listed
        key = self._pairs.timeline[trip] * self._base + token
        place = np.searchsorted(self._key, key).clip(max=len(self._key) - 1)
        known = self._key[place] == key
        question = np.searchsorted(self._pairs.target_trip, trip[known])
        found = np.zeros(len(self.token), dtype=bool)
        found[self._shift[question] + place[known]] = True
        return found

    def of_timelines(self) -> np.ndarray:
        """(n,) cells of each timeline."""
        timeline = self._pairs.timeline
        question = np.searchsorted(timeline[self._pairs.target_trip], np.arange(timeline[-1] + 2))
        return np.diff(self._first[question])

    def gaps(self, entry: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Of cells (E,) that were bought before, given the days of trips (T,): days and trips since
        the last purchase, days since the first, days between two (-1 where there is one); (E, 4)
        float32.
        """
        trip = self._pairs.trip[self.pair]
        first, last = (np.zeros(len(self.token), dtype=np.int64) for _ in range(2))
        last[self.cell] = trip  # of several the last one stays
        first[self.cell[::-1]] = trip[::-1]
        first, last, times = first[entry], last[entry], self.times[entry]
        now = self._pairs.target_trip[self.question[entry]]
        usual = np.where(times > 1, (day[last] - day[first]) / np.maximum(times - 1, 1), -1)
        gaps = [day[now] - day[last], now - 1 - last, day[now] - day[first], usual]
        return np.stack(gaps, axis=1).astype(np.float32)
