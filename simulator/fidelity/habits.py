"""What copies of the past get wrong: new products, who stays away, other stores; and what is bought
together.

Shape letters: T trips, I items, A products.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from simulator.fidelity.own import OwnPurchases
from simulator.fidelity.quantities import previous
from simulator.fidelity.trip_sets import TripSet
from simulator.fidelity.window import Window

ACTIVE_WEEKS = 4
"""Retention is of those who came in so many weeks before the start."""
RETAINED_AFTER = (4, 9)
PRODUCTS = 300
"""Products sold most, whose pairs are looked at."""
PAIRS = 200
"""Pairs of them bought together most often in the last year."""
YEAR = 52
ROWS = 20_000
"""Trips whose products stand in a matrix at a time."""
SMOOTHING = 1
"""Trips with both products, as expected of independent ones, that are added to each pair."""


class Habits:
    """Measures of trips against a window's history."""

    def __init__(self, window: Window, own: OwnPurchases) -> None:
        self._window, self._own = window, own

    def repeat_share(self, trips: TripSet) -> float:
        """Share of a trip's items that the customer bought before the start, the mean over
        trips."""
        times, _ = self._own.of(trips)
        repeats = np.bincount(trips.trip, times > 0, len(trips))
        return float((repeats / trips.items).mean()) if len(trips) else np.nan

    def retention(self, trips: TripSet, after: int, customers: np.ndarray | None = None) -> float:
        """Share of the customers of the last `ACTIVE_WEEKS` weeks of the history who come in week
        `after` from the start on; NaN where that week is not judged.

        customers: places in the population, of which to count; without, all.
        """
        window = self._window
        week = window.start + after
        if week not in window.weeks:
            return np.nan
        history = window.history
        recent = np.isin(window.day_week[history.day], window.recent(ACTIVE_WEEKS))
        active = np.unique(history.customer[recent])
        if customers is not None:
            active = np.intersect1d(active, window.population[customers])
        came = trips.customer[window.day_week[trips.day] == week]
        return float(np.isin(active, came).mean()) if len(active) else np.nan

    def switching(self, trips: TripSet) -> float:
        """Share of trips in another store than the customer's trip before."""
        before = previous(self._window, trips, self._window.history.store, trips.store)
        return float((trips.store != before).mean()) if len(trips) else np.nan

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens of the products (A,), and the pairs of them: places (n,), (n,)."""
        window, history = self._window, self._window.history
        year = history.take(np.isin(window.day_week[history.day], window.recent(YEAR)))
        sold = np.bincount(year.token, minlength=window.cache.vocabulary.input_size)
        products = np.sort(np.argsort(-sold, kind="stable")[: min(PRODUCTS, (sold > 0).sum())])
        both, _ = self._bought(year, products)
        first, second = np.triu_indices(len(products), 1)
        most = np.argsort(-both[first, second], kind="stable")[:PAIRS]
        return products, first[most], second[most]

    def _bought(self, trips: TripSet, products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(A, A) how many trips hold each pair, and (A,) each product."""
        place = np.full(self._window.cache.vocabulary.input_size, -1)
        place[products] = np.arange(len(products))
        held = place[trips.token] >= 0
        both = np.zeros((len(products), len(products)))
        column, trip = place[trips.token[held]], trips.trip[held]
        for first in range(0, len(trips), ROWS):
            start, end = np.searchsorted(trip, (first, first + ROWS))
            matrix = np.zeros((ROWS, len(products)), np.float32)
            matrix[trip[start:end] - first, column[start:end]] = 1
            both += matrix.T @ matrix
        return both, both.diagonal()

    def lifts(self, trips: TripSet) -> np.ndarray:
        """(n,) lifts of the pairs: trips with both over those expected of independent products,
        `SMOOTHING` added to each."""
        products, first, second = self._pairs
        both, each = self._bought(trips, products)
        expected = each[first] * each[second] / max(len(trips), 1)
        return (both[first, second] + SMOOTHING) / (expected + SMOOTHING)
