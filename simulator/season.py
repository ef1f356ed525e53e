"""What the same weeks of a year before were like."""

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
        found = float(np.log(trips[then] / np.median(around[around > 0])))
        return found**3 / (found**2 + NOISE**2)

    return difference
