"""How many items a basket of a kind holds: a mixture of counts.

The chain's trips of exactly this kind, shrunk to those of its size alone, and the customer's own
earlier trips of this size, weighed by recency. The weights of the mixture differ with the size and
the number of earlier trips (Jelinek and Mercer, Interpolated estimation of Markov source parameters
from sparse data, 1980).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.baselines.visit_counts import mixture_weights
from trainer.cache.ragged import ranges
from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.features.trip_log import TripLog

MOST = 80
"""Items of a basket, at most."""
SHRINKAGE = 20.0
RATES = (0.95, 0.99)
"""Weight of a trip relative to that of the one after it."""
TRIPS_SO_FAR = (3, 8, 20, 60, 150)
EARLIER = 400
"""Own trips that are read, the latest ones."""
SPREAD = 0.12
"""Own numbers of items stand for those around them: standard deviation as a share."""
RECENT = 5
"""Weeks to which the weights are fitted."""


class BasketSizeLaw:
    """Chances of numbers of items, counted in the weeks up to one."""

    def __init__(self, cache: TensorCache, last_week: int) -> None:
        week = cache["trips.week"].astype(np.int64)
        items = np.diff(cache["trips.item_offsets"].astype(np.int64)).clip(max=MOST)
        kinds = np.stack([cache[f"trips.{name}"].astype(np.int64) for name in CONTEXT], axis=1)
        self._codes = tuple(cache.label_counts.codes.values())
        trips = np.diff(cache["customers.trip_offsets"].astype(np.int64))
        first = np.repeat(trips.cumsum() - trips, trips)
        known = np.flatnonzero(week <= last_week)
        of_size = _histograms(kinds[known, 0], items[known], self._codes[0], None)
        kind = self._kind(kinds)
        size_of_kind = np.arange(np.prod(self._codes)) // np.prod(self._codes[1:], dtype=int)
        self._of_kind = _histograms(
            kind[known], items[known], int(np.prod(self._codes)), of_size[size_of_kind]
        )
        self._possible = of_size > of_size.min(1, keepdims=True) * 1.5
        number = np.arange(MOST + 1)
        spread = np.maximum(SPREAD * number, 0.5)[:, None]
        near = np.exp(-0.5 * (np.subtract.outer(number, number) / spread) ** 2)
        self._near = near / near.sum(1, keepdims=True)
        self._weights = np.full(
            (len(TRIPS_SO_FAR) + 1, self._codes[0], len(RATES) + 1), 1 / (len(RATES) + 1)
        )
        rows = known[week[known] > last_week - RECENT]
        count = np.minimum(rows - first[rows], EARLIER)
        owner, earlier = np.repeat(np.arange(len(rows)), count), ranges(rows - count, count)
        tables = self._tables(
            kinds[rows], owner, rows[owner] - earlier, kinds[earlier, 0], items[earlier]
        )
        group = np.digitize(rows - first[rows], TRIPS_SO_FAR)
        for place in np.ndindex(self._weights.shape[:2]):
            alike = (group == place[0]) & (kinds[rows, 0] == place[1])
            happened = np.stack([t[np.arange(len(rows)), items[rows]] for t in tables], 1)[alike]
            self._weights[place] = mixture_weights(happened)

    def chances(self, kinds: np.ndarray, logs: Sequence[TripLog]) -> np.ndarray:
        """(n, MOST + 1) probabilities of numbers of items, from 0, which has none.

        kinds (n, 4) codes of the trips; logs of the customers.
        """
        trips = [log.trips[-EARLIER:] for log in logs]
        count = np.array([len(part) for part in trips])
        owner, log = np.repeat(np.arange(len(logs)), count), np.concatenate(trips)
        back = count[owner] - ranges(np.zeros_like(count), count)
        items = log["items"].astype(np.int64).clip(max=MOST)
        tables = self._tables(kinds, owner, back, log["kind"][:, 0].astype(np.int64), items)
        group = np.digitize([len(each.trips) for each in logs], TRIPS_SO_FAR)
        weights = self._weights[group, kinds[:, 0]]
        p = np.einsum("nt,tnk->nk", weights, np.stack(tables))
        p[:, 0] = 0
        return p / p.sum(1, keepdims=True)

    def _kind(self, kinds: np.ndarray) -> np.ndarray:
        return np.ravel_multi_index(tuple(kinds.T), self._codes)

    def _tables(
        self, kinds: np.ndarray, owner: np.ndarray, back: np.ndarray, size: np.ndarray,
        items: np.ndarray,
    ) -> list[np.ndarray]:  # fmt: skip
        """(n, MOST + 1) each: the chain's, and the customer's own at each rate. owner, back, size,
        items (E,) of earlier trips: whose, how many trips ago, and what they were."""
        of_chain = self._of_kind[self._kind(kinds)]
        alike = size == kinds[owner, 0]
        place = owner * (MOST + 1) + items
        tables = [of_chain]
        for rate in RATES:
            own = np.bincount(place, rate**back * alike, len(kinds) * (MOST + 1))
            own = own.reshape(-1, MOST + 1) @ self._near * self._possible[kinds[:, 0]]
            total = own.sum(1, keepdims=True)
            tables.append(np.where(total > 0, own / np.maximum(total, 1e-12), of_chain))
        return tables


def _histograms(
    key: np.ndarray, items: np.ndarray, keys: int, prior: np.ndarray | None
) -> np.ndarray:
    """(keys, MOST + 1) shares of numbers of items, shrunk to a prior of that shape."""
    if prior is None:
        prior = np.bincount(items, minlength=MOST + 1)[None] / len(items)
    counts = np.bincount(key * (MOST + 1) + items, minlength=keys * (MOST + 1)).reshape(keys, -1)
    return (counts + SHRINKAGE * prior) / (counts.sum(1, keepdims=True) + SHRINKAGE)
