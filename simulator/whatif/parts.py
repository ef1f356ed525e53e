"""Where a difference comes from: each line of the receipts belongs to one part.

A change is in force on some shelves: products, stores and weeks. Rivals are products of the same
finest category.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.scenario import Scenario
from trainer.cache.reader import TensorCache
from trainer.features.categories import category_of_token

PARTS = {
    "changed": "changed products",
    "rivals": "their rivals",
    "beside": "other products of these stores",
    "elsewhere": "other stores",
    "afterwards": "changed products and rivals afterwards",
    "rest": "everything else",
}
"""Every line is in one of them, so that differences of the parts add up to the whole.

changed: products on the shelves of a change. rivals: products of their finest categories in the
same stores and weeks. beside: other products there and then. elsewhere: other stores in these
weeks. afterwards: the finest categories of a change in weeks after it began and in which none of
them is in force, in all stores: stocks that are used up, habits that stay. rest: other products in
weeks without a change.
"""
CHANGED, RIVALS, BESIDE, ELSEWHERE, AFTERWARDS, REST = range(len(PARTS))


@dataclass(frozen=True)
class Shelves:
    """Where a change of prices or of the assortment is in force."""

    token: np.ndarray
    """(input tokens,) bool: of which products."""
    store: np.ndarray
    """(stores + 1,) bool: where; the last is for stores that the cache lacks."""
    first: int
    last: int
    """Weeks, both included."""


def changed_shelves(cache: TensorCache, scenario: Scenario) -> list[Shelves]:
    """Those of all its prices, coupons, delistings and launches."""
    everywhere = np.ones(cache.rows("stores") + 1, bool)

    def of(token: int, first: int, last: int) -> Shelves:
        only = np.zeros(cache.vocabulary.input_size, bool)
        only[token] = True
        return Shelves(only, everywhere, first, last)

    return [
        *(
            Shelves(each.token, np.append(each.store, each.store.all()), each.first, each.last)
            for each in scenario.prices
        ),
        *(Shelves(each.token, everywhere, each.first, each.last) for each in scenario.coupons),
        *(of(token, weeks.first, weeks.last) for token, weeks in scenario.delisted),
        *(of(each.row, each.week, np.iinfo(np.int64).max) for each in scenario.launched),
    ]


class Parts:
    """Which part each line of a run belongs to.

    Args:
        cache: whose categories make products rivals.
        shelves: where changes are in force.
        first, last: the simulated weeks.
    """

    def __init__(
        self, cache: TensorCache, shelves: Sequence[Shelves], first: int, last: int
    ) -> None:
        self._shelves, self._first = shelves, first
        self._category = category_of_token(cache)
        size = cache.rows("categories") + 1, cache.rows("stores") + 1, last - first + 1
        self._in_force = np.zeros(size, bool)
        for each in shelves:
            families = np.unique(self._category[each.token])
            weeks = np.arange(max(each.first, first), min(each.last, last) + 1) - first
            self._in_force[np.ix_(families, np.flatnonzero(each.store), weeks)] = True
        self._family = self._in_force.any(1)  # (categories, weeks), in any store
        begun = np.logical_or.accumulate(self._family, axis=1)
        self._after = begun & ~self._family

    @property
    def changed(self) -> np.ndarray:
        """(input tokens,) bool: products that any change is about."""
        return np.any([each.token for each in self._shelves], axis=0)

    @property
    def rivals(self) -> np.ndarray:
        """(input tokens,) bool: the others of their finest categories."""
        families = np.unique(self._category[self.changed])
        return np.isin(self._category, families) & ~self.changed

    def of(self, token: np.ndarray, store: np.ndarray, week: np.ndarray) -> np.ndarray:
        """(lines,) int64: numbers of `PARTS`, of lines (lines,)."""
        changed = np.zeros(len(token), bool)
        for each in self._shelves:
            inside = (week >= each.first) & (week <= each.last)
            changed |= each.token[token] & each.store[store] & inside
        category, place = self._category[token], week - self._first
        return np.select(
            [
                changed,
                self._in_force[category, store, place],
                self._family[category, place],
                self._after[category, place],
                self._in_force.any(0)[store, place],
                self._in_force.any((0, 1))[place],
            ],
            [CHANGED, RIVALS, ELSEWHERE, AFTERWARDS, BESIDE, ELSEWHERE],
            REST,
        )
