"""Trips of people without a history: anonymous shoppers, and customers who come for the first time.

They go where and when the known customers of the week go, for trips of the same kinds. How many
anonymous trips there are for each trip of a customer is counted in the weeks up to the start.
"""

from __future__ import annotations

import numpy as np

from simulator.draws import uniforms
from trainer.cache.reader import TensorCache

HOW_MANY, WHICH, FIRST = 30, 31, 32
"""What a number is drawn for."""
LARGEST = 1 << 53
TINY = 1e-12


class Strangers:
    """Whose trips theirs are like, by what is known of the weeks up to one."""

    def __init__(self, cache: TensorCache, last_week: int) -> None:
        totals = cache.manifest["totals"]
        ended = [name for name, (_, last) in cache.split.items() if last <= last_week]
        trips = {
            who: sum(totals[name][who]["trips"] for name in ended if name in totals)
            for who in ("identified", "anonymous")
        }
        rate = trips["anonymous"] / max(trips["identified"], 1)
        number = np.arange(int(rate + 10 * np.sqrt(rate)) + 20)
        log_factorial = np.log(np.maximum(number, 1)).cumsum()
        self._poisson = np.exp(number * np.log(max(rate, TINY)) - rate - log_factorial).cumsum()

    def anonymous_trips(
        self, seed: int, keys: tuple[np.ndarray, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the known trips (n,) that anonymous ones are like, and a number for each that no
        other has: (anonymous trips,) each.

        keys (n,) each: what tells the known trips apart, for `draws`. Each has its own anonymous
        trips, a Poisson number, so that they stay as they are where it does.
        """
        count = np.searchsorted(self._poisson, uniforms(seed, HOW_MANY, *keys))
        count = count.clip(max=len(self._poisson) - 1)
        beside = np.repeat(np.arange(len(count)), count)
        nth = np.arange(len(beside)) - (count.cumsum() - count)[beside]
        number = uniforms(seed, WHICH, *(key[beside] for key in keys), nth) * LARGEST
        return beside, number.astype(np.int64)

    def first_trips(self, known: int, seed: int, codes: np.ndarray) -> np.ndarray:
        """Rows of the known trips, so many, that the first trips of new customers (n,) are like."""
        return (uniforms(seed, FIRST, codes) * known).astype(np.int64)
