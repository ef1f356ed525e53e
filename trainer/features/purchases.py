"""Earlier purchases as flat arrays: the earlier trips of each question, and their items.

A batch of timelines at once, without a loop over trips, customers or products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.cache.ragged import distinct, offsets, ranges
from trainer.features.circumstances import Circumstances
from trainer.features.purchase_sequences import PurchaseSequences, purchase_sequences
from trainer.features.trips import Items

HISTORY_TRIPS = 1024
"""Number of earlier trips that count, the most recent ones. It bounds the state of a customer; the
most frequent of 4,030 LGSR customers has 900 trips in 117 weeks."""


@dataclass(frozen=True)
class Pairs:
    """P pairs of a question and an earlier trip of its timeline, by question, then by time.

    Of more than `HISTORY_TRIPS` earlier trips the oldest are left out.
    """

    timeline: np.ndarray
    """(T,) timeline of each trip."""
    target_trip: np.ndarray
    """(Q,) the trip of each question."""
    question: np.ndarray
    """(P,) question of each pair."""
    trip: np.ndarray
    """(P,) the earlier trip."""
    age: np.ndarray
    """(P,) trips between the two."""

    @classmethod
    def of(cls, timelines: np.ndarray, is_target: np.ndarray) -> Pairs:
        """timelines (n,) number of trips of each; is_target (T,) bool: trips with a question."""
        timeline = np.repeat(np.arange(len(timelines)), timelines)
        target_trip = np.flatnonzero(is_target)
        first = offsets(timelines)[timeline[target_trip]]
        first = np.maximum(first, target_trip - HISTORY_TRIPS)
        question = np.repeat(np.arange(len(target_trip)), target_trip - first)
        trip = ranges(first, target_trip - first)
        return cls(timeline, target_trip, question, trip, target_trip[question] - 1 - trip)


class PurchaseIndex:
    """The products bought on the trips of pairs. A cell is a question and a product bought on any
    trip of its timeline; cells are ordered by question, then by token."""

    def __init__(self, pairs: Pairs, items: Items, *tokens: np.ndarray) -> None:
        """pairs: of question and trip. items: of all trips. tokens: those to be passed to `at`."""
        self._pairs = pairs
        token = items.token.numpy()
        self._base = 1 + max(int(part.max(initial=0)) for part in (token, *tokens))
        # Unknown products share tokens: a token that is twice in a basket counts once.
        trip, token = np.divmod(distinct(items.trip.numpy() * self._base + token), self._base)
        # Purchases by timeline and product, then by time: those of each product are a sequence.
        key = pairs.timeline[trip] * self._base + token
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        is_first = np.diff(ordered, prepend=-1) > 0
        self._key, number = ordered[is_first], is_first.cumsum() - 1
        self._sequence = number, token[order], trip[order]
        key[order] = number
        timeline = pairs.timeline[pairs.target_trip]
        first = np.searchsorted(self._key, np.arange(pairs.timeline[-1] + 2) * self._base)
        cells = np.diff(first)[timeline]
        self._first = offsets(cells)
        self._shift = self._first[:-1] - first[timeline]
        self.question = np.repeat(np.arange(len(cells)), cells)
        """(cells,) question of each cell."""
        self.token = self._key[ranges(first[timeline], cells)] % self._base
        """(cells,) product of each cell."""
        item = np.searchsorted(trip, np.arange(len(pairs.timeline) + 1))
        self.sizes = np.diff(item)
        """(T,) number of distinct products of each trip."""
        self.items = np.bincount(items.trip.numpy(), minlength=len(self.sizes))
        """(T,) number of items of each trip."""
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        sizes = self.sizes[pairs.trip]
        self.pair = np.repeat(np.arange(len(sizes)), sizes)
        """(U,) the pair of each purchase."""
        bought = ranges(item[pairs.trip], sizes)
        self.cell = self._shift[pairs.question[self.pair]] + key[bought]
        """(U,) cell of each purchase."""
        self.last = np.zeros(len(self.token), dtype=np.int64)
        """(cells,) the last earlier purchase, an index into `sequences`; 0 where there is none."""
        self.last[self.cell] = place[bought]  # assigned in ascending order, so the last one stays
        self.times = np.bincount(self.cell, minlength=len(self.token))
        """(cells,) number of earlier trips with the product."""

    def sum(self, weights: np.ndarray) -> np.ndarray:
        """(cells,) sums of weights (P,) over the earlier trips with the product."""
        return np.bincount(self.cell, weights[self.pair], minlength=len(self.token))

    def at(self, listed: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """(cells,) bool: cells of these products of these target trips, (n,) each."""
        trip, token = listed
        key = self._pairs.timeline[trip] * self._base + token
        place = np.searchsorted(self._key, key).clip(max=len(self._key) - 1)
        known = self._key[place] == key
        question = np.searchsorted(self._pairs.target_trip, trip[known])
        found = np.zeros(len(self.token), dtype=bool)
        found[self._shift[question] + place[known]] = True
        return found

    def entries(self, question: np.ndarray, token: np.ndarray) -> np.ndarray:
        """(n,) cells of these questions and tokens, all of which are there."""
        key = self._pairs.timeline[self._pairs.target_trip[question]] * self._base + token
        return self._shift[question] + np.searchsorted(self._key, key)

    def sequences(self, trips: Circumstances) -> PurchaseSequences:
        """All purchases of the timelines, by product, then by time."""
        return purchase_sequences(*self._sequence, trips)

    def of_timelines(self) -> np.ndarray:
        """(n,) number of cells of each timeline."""
        timeline = self._pairs.timeline
        question = np.searchsorted(timeline[self._pairs.target_trip], np.arange(timeline[-1] + 2))
        return np.diff(self._first[question])

    def gaps(self, entry: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Gaps of the cells `entry` (E,), each of them bought before; day (T,) of each trip.

        Days and trips since the last purchase, days since the first, mean days between two (-1 for
        a single purchase): (E, 4) float32.
        """
        trip = self._pairs.trip[self.pair]
        first, last = (np.zeros(len(self.token), dtype=np.int64) for _ in range(2))
        last[self.cell] = trip  # assigned in ascending order, so the last trip stays
        first[self.cell[::-1]] = trip[::-1]
        first, last, times = first[entry], last[entry], self.times[entry]
        now = self._pairs.target_trip[self.question[entry]]
        usual = np.where(times > 1, (day[last] - day[first]) / np.maximum(times - 1, 1), -1)
        gaps = [day[now] - day[last], now - 1 - last, day[now] - day[first], usual]
        return np.stack(gaps, axis=1).astype(np.float32)
