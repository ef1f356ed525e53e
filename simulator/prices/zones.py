"""Price zones: groups of stores that charge alike."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, ward
from scipy.sparse import csr_matrix

MIN_COMPARED = 200
"""Prices of a store that others of the same product and week can be compared with, from which on
it takes part in finding zones. The others join the zone that they agree with most."""
MIN_GAIN = 0.02
"""Agreement that one zone more must add, on average over prices."""
MOST_ZONES = 6
ROUNDS = 10


def price_zones(
    token: np.ndarray, store: np.ndarray, week: np.ndarray, pence: np.ndarray, stores: int
) -> np.ndarray:
    """(stores,) zone of each store, from prices of products at stores in weeks, (n,) each.

    Stores whose agreement with the others is alike are grouped (Ward's linkage), then each goes to
    the zone with whose most frequent price of a product and week most of its own agree, until none
    moves. Zones are added while that makes agreement rise by `MIN_GAIN`; they are numbered by their
    prices, most first. The same prices give the same zones.
    """
    pence = np.rint(pence).astype(np.int64)
    shelf = np.unique(np.stack([token, week, store, pence]).astype(np.int64), axis=1)
    _, group = np.unique(shelf[0] << 16 | shelf[1], return_inverse=True)
    _, price = np.unique(group << 32 | shelf[3], return_inverse=True)
    group_of_price = np.zeros(price.max() + 1, dtype=np.int64)
    group_of_price[price] = group
    by_price, by_group = (_incidence(rows, shelf[2], stores) for rows in (price, group))
    compared, same = ((m.T @ m).toarray() for m in (by_group, by_price))
    others = compared.sum(axis=1) - compared.diagonal()
    large = np.flatnonzero(others >= MIN_COMPARED)
    best = np.zeros(stores, dtype=np.int64)
    if len(large) < 2:
        return best
    alike = same[np.ix_(large, large)] / np.maximum(compared[np.ix_(large, large)], 1)
    tree = ward(alike)
    found = _agreement(by_price, group_of_price, best)[1]

    for zones in range(2, min(MOST_ZONES, len(large)) + 1):
        start = np.full(stores, -1)
        start[large] = fcluster(tree, zones, "maxclust") - 1
        zone = _settled(by_price, group_of_price, start)
        agreement = _agreement(by_price, group_of_price, zone)[1]
        print(zones, agreement, np.bincount(zone), np.bincount(zone, weights=compared.diagonal()))
        if agreement < found + MIN_GAIN:
            break
        best, found = zone, agreement
    weight = np.bincount(best, weights=compared.diagonal())
    rank = np.argsort(np.argsort(-weight, kind="stable"))
    return rank[best]


def _incidence(rows, store, stores):
    ones = np.ones(len(rows), dtype=np.float64)
    return csr_matrix((ones, (rows, store)), shape=(rows.max() + 1, stores))


def _agreement(by_price, group_of_price, zone):
    """Share of each store's prices that are the most frequent of its zone, its own vote left out, and the mean over prices."""
    scores = _scores(by_price, group_of_price, zone)
    n = np.asarray(by_price.sum(axis=0)).ravel()
    own = scores[np.arange(len(zone)), np.maximum(zone, 0)]
    return own / np.maximum(n, 1), own.sum() / n.sum()


def _scores(by_price, group_of_price, zone):
    """(stores, Z) prices of each store that are the most frequent of the zone."""
    zones = zone.max() + 1
    member = (zone[:, None] == np.arange(zones)).astype(float)
    votes = by_price @ member
    out = np.zeros((by_price.shape[1], zones))
    for z in range(zones):
        most = np.zeros(group_of_price.max() + 1)
        np.maximum.at(most, group_of_price, votes[:, z])
        is_mode = (votes[:, z] == most[group_of_price]) & (votes[:, z] > 0)
        out[:, z] = by_price.T @ is_mode.astype(float)
    return out


def _settled(by_price, group_of_price, zone):
    for _ in range(ROUNDS):
        scores = _scores(by_price, group_of_price, zone)
        new = scores.argmax(axis=1)
        if (new == zone).all():
            break
        zone = new
    return zone
