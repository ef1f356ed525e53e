"""Price zones: groups of stores that charge alike."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, ward
from scipy.sparse import csr_matrix

MIN_COMPARED = 200
"""Prices of a store that another one has of the same product and week, from which on it takes part
in finding zones. A smaller one only joins a zone."""
MIN_GAIN = 0.01
"""Agreement of prices with their zone's that one zone more must add."""
MOST_ZONES = 6
ROUNDS = 10
"""Times that stores may change their zone."""


def price_zones(
    product: np.ndarray, store: np.ndarray, week: np.ndarray, pence: np.ndarray, stores: int
) -> np.ndarray:
    """(stores,) int64 zone of each store, from 0, the one with most prices first.

    product, store, week, pence: (n,) prices, repeated ones counting once. Stores that agree with
    the same others are grouped (Ward's linkage), then each goes to the zone with whose most
    frequent price of a product and week most of its own agree. A zone is added while agreement
    rises by `MIN_GAIN`. The same prices give the same zones.
    """
    whole = np.rint(pence).astype(np.int64)
    shelves = np.unique(np.stack([product, week, store, whole]).astype(np.int64), axis=1)
    votes = _Votes(*shelves, stores)
    zone = np.zeros(stores, dtype=np.int64)
    compared, same = votes.pairs()
    large = np.flatnonzero(compared.sum(axis=1) - compared.diagonal() >= MIN_COMPARED)
    if len(large) < 2:
        return zone
    tree = ward(same[np.ix_(large, large)] / np.maximum(compared[np.ix_(large, large)], 1))
    agreement = votes.agreement(zone)
    for zones in range(2, min(MOST_ZONES, len(large)) + 1):
        found = np.full(stores, -1)
        found[large] = fcluster(tree, zones, "maxclust") - 1
        found = votes.settled(found)
        if votes.agreement(found) < agreement + MIN_GAIN:
            break
        zone, agreement = found, votes.agreement(found)
    prices = np.bincount(zone, votes.prices, minlength=MOST_ZONES)
    return np.argsort(np.argsort(-prices, kind="stable"))[zone]


class _Votes:
    """Which store has which price of a product and week."""

    def __init__(
        self, product: np.ndarray, week: np.ndarray, store: np.ndarray, pence: np.ndarray,
        stores: int,
    ) -> None:  # fmt: skip
        _, shelf = np.unique(np.stack([product, week]), axis=1, return_inverse=True)
        found, price = np.unique(np.stack([shelf, pence]), axis=1, return_inverse=True)
        self._shelf_of_price = found[0]
        self._of_shelf, self._of_price = (
            csr_matrix((np.ones(len(store)), (row, store)), (row.max() + 1, stores))
            for row in (shelf, price)
        )
        self.prices = np.bincount(store, minlength=stores)
        """(stores,) how many each has."""

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """(stores, stores) prices that can be compared, and those that are the same."""
        return tuple((found.T @ found).toarray() for found in (self._of_shelf, self._of_price))

    def agreement(self, zone: np.ndarray) -> float:
        """Share of all prices that are the most frequent of their zone."""
        return self._agreeing(zone)[np.arange(len(zone)), zone].sum() / self.prices.sum()

    def settled(self, zone: np.ndarray) -> np.ndarray:
        """Zones after each store has gone where it agrees most; -1 is in none yet."""
        for _ in range(ROUNDS):
            found = self._agreeing(zone).argmax(axis=1)
            if np.array_equal(found, zone):
                break
            zone = found
        return zone

    def _agreeing(self, zone: np.ndarray) -> np.ndarray:
        """(stores, zones) prices of each store that are the most frequent of each zone."""
        in_zone = zone[:, None] == np.arange(zone.max() + 1)
        votes = self._of_price @ in_zone.astype(float)
        most = np.zeros((self._shelf_of_price.max() + 1, votes.shape[1]))
        np.maximum.at(most, self._shelf_of_price, votes)
        is_most = (votes == most[self._shelf_of_price]) & (votes > 0)
        return self._of_price.T @ is_most.astype(float)
