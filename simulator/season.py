"""What the same weeks of a year before were like: how many trips, and what was on them; and how far
from what is known of categories their weeks stray."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trainer.cache.reader import TensorCache

YEAR = 52
"""Weeks."""
AROUND = 6
"""Weeks before and after one, beside which it is seen."""
NOISE = 0.05
"""Standard deviation of the log-trips of a week that say nothing of the next year's."""
BASE = 6
"""Weeks with trips up to the start whose categories a simulation knows, and so a year before."""
BESIDE, CATEGORY_NOISE, FEW = 1, 0.1, 5.0
"""Weeks before and after one that count with it; as `NOISE`, of a category's share; items added to
those of a category in these weeks, and to those that its share would be."""
ENOUGH = 30
"""Items that a week of a category needs to tell how far it strays."""


def of_last_year(cache: TensorCache, start: int) -> Callable[[int], float]:
    """By how much the logarithm of the trips of a week after the start differs from weeks around
    it, as a year before, shrunk: d^2 / (d^2 + NOISE^2) of the difference d is kept. 0 where nothing
    is known of that week. Nothing after the start is read."""
    week = cache["trips.week"].astype(np.int64)
    trips = np.bincount(week[week <= start], minlength=start + 1).astype(np.float64)

    def difference(week: int) -> float:
        then = week - YEAR
        if not (0 < then <= start and trips[then]):
            return 0.0
        around = trips[max(then - AROUND, 1) : then + AROUND + 1]
        return float(_shrunk(np.log(trips[then] / np.median(around[around > 0])), NOISE))

    return difference


class CategorySeason:
    """Shares of categories in weeks after a start, beside those of the `BASE` weeks up to it.

    Args:
        cache: the receipts, of which nothing after the start is read.
        start: the last week of the history.
        category: (V,) of tokens.

    Attributes:
        spread: standard deviation of the logarithm of a category's share in the weeks after `BASE`
            weeks, over the last year; what chance alone explains is taken off.
    """

    def __init__(self, cache: TensorCache, start: int, category: np.ndarray) -> None:
        week = np.repeat(cache["trips.week"], np.diff(cache["trips.item_offsets"].astype(np.int64)))
        token = cache["items.token"].astype(np.int64)
        known = (week <= start) & (token < len(category))
        count = int(category.max()) + 1
        cell = category[token[known]] * (start + 1) + week[known]
        items = np.bincount(cell, minlength=count * (start + 1)).reshape(count, -1)
        self._items, self._start = items, start
        self.spread = self._strays()

    def difference(self, week: int) -> np.ndarray:
        """(categories,) by how much the logarithms of shares differ in a week from those of the
        base, as a year before: shrunk, see `of_last_year`. 0 where that year is not known."""
        weeks = np.arange(week - YEAR - BESIDE, week - YEAR + BESIDE + 1)
        weeks = weeks[(weeks > 0) & (weeks <= self._start)]
        share = self._base(self._start - YEAR)
        if share is None or not self._items[:, weeks].sum():
            return np.zeros(len(self._items))
        return _shrunk(self._log_ratio(weeks, share), CATEGORY_NOISE)

    def _base(self, last: int) -> np.ndarray | None:
        """(categories,) shares in the `BASE` weeks with trips up to a week."""
        weeks = np.flatnonzero(self._items[:, : max(last + 1, 0)].sum(0))[-BASE:]
        found = self._items[:, weeks].sum(1)
        return found / found.sum() if len(weeks) == BASE else None

    def _log_ratio(self, weeks: np.ndarray, share: np.ndarray) -> np.ndarray:
        found = self._items[:, weeks]
        return np.log((found.sum(1) + FEW) / (found.sum() * share + FEW))

    def _strays(self) -> float:
        squares, weights = [], []
        for origin in range(max(self._start - YEAR, 0), self._start, BASE):
            share = self._base(origin)
            for week in range(origin + 1, min(origin + BASE, self._start) + 1):
                total = self._items[:, week].sum()
                if share is not None and total:
                    expected = total * share
                    chance = (1 + 1 / BASE) / np.maximum(expected, 1)
                    found = self._log_ratio(np.array([week]), share) ** 2 - chance
                    squares.append(found[expected >= ENOUGH])
                    weights.append(np.sqrt(expected[expected >= ENOUGH]))
        if not sum(map(len, squares)):
            return 0.0
        mean = np.average(np.concatenate(squares), weights=np.concatenate(weights))
        return float(np.sqrt(max(mean, 0)))


def _shrunk(difference: np.ndarray, noise: float) -> np.ndarray:
    return difference**3 / (difference**2 + noise**2)
