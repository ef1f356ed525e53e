"""How many units of a product are bought at once, and how large weighed portions are: as seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trainer.cache.reader import TensorCache

MOST = 24
SHRINKAGE = 10.0
ATTEMPTS = 100
"""Times that the units of a trip are drawn, at most, until they fit its size."""


class Quantities:
    """Chances of 1 to `MOST` units of each token, from the weeks up to one.

    Publishers call a trip small or large by its units. So they are those of the product on trips of
    this size, shrunk to those of the product on all, and these to the chain's; and a trip's units
    add up to what trips of its size had.
    """

    def __init__(self, cache: TensorCache, last_week: int) -> None:
        items = np.diff(cache["trips.item_offsets"].astype(np.int64))
        of_trip = cache["trips.week"] <= last_week
        known = np.repeat(of_trip, items)
        token = cache["items.token"][known].astype(np.int64)
        units = cache["items.quantity"][known].astype(np.int64)
        total = np.add.reduceat(cache["items.quantity"], cache["trips.item_offsets"][:-1])[of_trip]
        size = cache["trips.size"][of_trip]
        codes = len(cache.labels["size"]) + 1
        self._least = np.ones(codes, np.int64)
        self._most = np.full(codes, MOST * items[of_trip].max())
        for code in range(1, codes):
            if (size == code).any():
                self._least[code] = total[size == code].min()
                self._most[code] = total[size == code].max()
        units = units.clip(max=MOST) - 1
        of_chain = np.bincount(units, minlength=MOST) / len(units)
        tokens = cache.products + 1
        product = token < tokens
        place = np.repeat(size, items[of_trip]).astype(np.int64) * tokens + token
        counts = np.bincount((place * MOST + units)[product], minlength=codes * tokens * MOST)
        counts = counts.reshape(codes, tokens, MOST)
        of_product = _shrunk(counts.sum(0), of_chain)
        self._cumulative = _shrunk(counts, of_product).cumsum(2)
        """(sizes, tokens, MOST)"""

    def draw(
        self, tokens: np.ndarray, trip: np.ndarray, size: np.ndarray,
        uniform: Callable[[int, np.ndarray], np.ndarray], grown: np.ndarray | float = 1.0,
    ) -> np.ndarray:  # fmt: skip
        """Units (n,) of products (n,) on trips (n,), ascending, whose sizes are codes (trips,).

        uniform(attempt, rows) are uniforms for some of the items: trips are drawn again until their
        units fit their size. grown: (trips,) items of a trip over those that it would hold without
        the scenario. The bounds of its size grow by as much, or the units of what a scenario adds
        would be taken from everything else.
        """
        found, rows = np.ones(len(tokens), np.int64), np.arange(len(tokens))
        least, most = (np.rint(x[size] * grown).astype(int) for x in (self._least, self._most))
        for attempt in range(ATTEMPTS):
            u = uniform(attempt, rows)
            law = self._cumulative[size[trip[rows]], tokens[rows]]
            found[rows] = (law < u[:, None]).sum(1).clip(max=MOST - 1) + 1
            total = np.bincount(trip, found, len(size))
            rows = np.flatnonzero(((total < least) | (total > most))[trip])
            if not len(rows):
                return found
        # What never fits has one unit of each, and more of the first.
        found[rows] = 1
        first = rows[np.diff(trip[rows], prepend=-1) > 0]
        items = np.bincount(trip, minlength=len(size))
        found[first] += (least - items)[trip[first]].clip(min=0)
        return found


def _shrunk(counts: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Chances (..., MOST) of counts (..., MOST), with `SHRINKAGE` items of other chances beside."""
    counts = counts + SHRINKAGE * chances
    return counts / counts.sum(-1, keepdims=True)


class Portions:
    """What a weighed portion costs, as a share of the product's stable price.

    The receipts say what a whole trip cost, and all other prices are known, so that trips with one
    weighed portion show it. Draws are what was seen of the product, and now and then of another
    one: `SHRINKAGE` portions of the chain's count beside the product's own.
    """

    def __init__(self, cache: TensorCache, last_week: int) -> None:
        items = np.diff(cache["trips.item_offsets"].astype(np.int64))
        trip = np.repeat(np.arange(len(items)), items)
        token = cache["items.token"].astype(np.int64)
        self._is_weighed = np.zeros(cache.vocabulary.input_size, bool)
        self._is_weighed[1 : cache.products + 1] = cache["products.is_random_weight"]
        weighed = self._is_weighed[token]
        cost = cache["shelf_prices.pence"][cache["items.price"]].astype(np.float64)
        cost *= cache["items.quantity"]
        others = np.bincount(trip, cost * ~weighed, len(items))
        single = np.bincount(trip, weighed, len(items)) == 1
        single &= cache["trips.week"] <= last_week
        seen = np.flatnonzero(weighed & single[trip] & (cache["items.quantity"] == 1) & (cost > 0))
        paid = cache["trips.spend_pence"][trip[seen]] - others[trip[seen]]
        seen, paid = seen[paid >= 1], paid[paid >= 1]
        order = np.argsort(token[seen], kind="stable")
        self._share = (paid / cost[seen])[order]
        self._first = np.searchsorted(token[seen][order], np.arange(len(self._is_weighed) + 1))

    def draw(self, tokens: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Shares (n,) of the stable prices of items (n,), by uniforms u (n,); 1 for all that is not
        weighed."""
        found = np.ones(len(tokens))
        if not len(self._share):
            return found
        row = np.flatnonzero(self._is_weighed[tokens])
        first = self._first[tokens[row]]
        own = self._first[tokens[row] + 1] - first
        place = u[row] * (own + SHRINKAGE)
        of_chain = (place - own) / SHRINKAGE * len(self._share)
        place = np.where(place < own, first + place, of_chain).astype(np.int64)
        found[row] = self._share[place]
        return found
