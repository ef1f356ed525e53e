"""What each customer bought before the start."""

from __future__ import annotations

import numpy as np

from simulator.fidelity.trip_sets import TripSet
from simulator.fidelity.window import Window


class OwnPurchases:
    """Products of a window's history by customer: how often, and when last."""

    def __init__(self, window: Window) -> None:
        self._tokens = window.cache.vocabulary.input_size
        history = window.history
        self._key, place, self._times = np.unique(
            self._keys(history), return_inverse=True, return_counts=True
        )
        self._last = np.zeros(len(self._key), np.int64)
        np.maximum.at(self._last, place, window.date[history.day[history.trip]])

    def of(self, trips: TripSet) -> tuple[np.ndarray, np.ndarray]:
        """Of each item, (I,) int64 both: on how many trips of the history its customer bought it,
        and the date of the last; 0 where they never did."""
        key = self._keys(trips)
        place = np.minimum(np.searchsorted(self._key, key), len(self._key) - 1)
        known = self._key[place] == key
        return self._times[place] * known, self._last[place] * known

    def _keys(self, trips: TripSet) -> np.ndarray:
        return trips.customer[trips.trip] * self._tokens + trips.token
