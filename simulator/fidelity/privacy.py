"""Does a simulation give away whom and what it learned from?

Shape letters: T trips, I items, C customers of the cache.
"""

from __future__ import annotations

import numpy as np

from simulator.fidelity.distances import auc
from simulator.fidelity.trip_sets import TripSet
from simulator.fidelity.window import Window
from trainer.cache.held_out import held_out

FEWEST_ITEMS = 3
"""Smaller baskets repeat by nature: the same pint of milk, week after week."""


class Copies:
    """Trips that hold exactly the products of an earlier trip of the same customer."""

    def __init__(self, window: Window) -> None:
        draw = np.random.default_rng(0)
        # A set of products has the sum of random 64-bit numbers, whatever their order.
        self._number = draw.integers(
            2**64, size=window.cache.vocabulary.input_size, dtype=np.uint64
        )
        self._customer = draw.integers(2**64, size=window.customers, dtype=np.uint64)
        self._known = np.unique(self._basket(window.history))

    def is_copy(self, trips: TripSet) -> np.ndarray:
        """(T,) bool: a trip of the history has the same customer and products."""
        return np.isin(self._basket(trips), self._known)

    def share(self, trips: TripSet) -> float:
        """Share of copies among trips of `FEWEST_ITEMS` items and more."""
        large = trips.items >= FEWEST_ITEMS
        return float(self.is_copy(trips)[large].mean()) if large.any() else np.nan

    def _basket(self, trips: TripSet) -> np.ndarray:
        """(T,) uint64."""
        total = np.append(np.uint64(0), self._number[trips.token].cumsum(dtype=np.uint64))
        products = total[trips.item_offsets[1:]] - total[trips.item_offsets[:-1]]
        return products + self._customer[trips.customer]


class Membership:
    """An attack: whose simulated trips are closest to trips that training read?

    A model that learned single trips by heart gives back those of its training customers, and not
    those of customers who were kept out of training, though both have a history.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        history = window.history
        last = window.cache.split["train"][1]
        in_training = window.day_week[history.day] <= last
        self._training = history.take(in_training & (history.items >= FEWEST_ITEMS))
        self._member = ~held_out(window.cache)

    def auc(self, trips: TripSet) -> float:
        """Chance that a training customer's simulated trips are closer to their own trips of the
        training weeks than a kept-out customer's are; .5 where they give away nothing."""
        found = {}
        large = trips.take(trips.items >= FEWEST_ITEMS)
        known = self._training
        for customer in np.intersect1d(large.customer, known.customer):
            mine = slice(*np.searchsorted(large.customer, (customer, customer + 1)))
            theirs = slice(*np.searchsorted(known.customer, (customer, customer + 1)))
            found[customer] = likeness(large, mine, known, theirs).max(1).mean()
        customers = np.array(list(found), dtype=np.int64)
        return auc(np.array([*found.values()]), self._member[customers])


def likeness(one: TripSet, rows: slice, other: TripSet, others: slice) -> np.ndarray:
    """(n, m) Jaccard likeness of the products of some trips and some others: how many they share
    over how many either has."""
    parts = []
    for trips, chosen in ((one, rows), (other, others)):
        items = slice(trips.item_offsets[chosen.start], trips.item_offsets[chosen.stop])
        parts.append((trips.token[items], trips.trip[items] - chosen.start, trips.items[chosen]))
    tokens = np.unique(np.concatenate([part[0] for part in parts]))
    matrices = []
    for token, trip, items in parts:
        matrix = np.zeros((len(items), len(tokens)), np.float32)
        matrix[trip, np.searchsorted(tokens, token)] = 1
        matrices.append(matrix)
    shared = matrices[0] @ matrices[1].T
    return shared / (parts[0][2][:, None] + parts[1][2] - shared)
