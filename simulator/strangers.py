"""Trips of people without a history: anonymous shoppers, and customers who come for the first time.

They go where and when the known customers of the week go, for trips of the same kinds. How many
anonymous trips there are for each trip of a customer is counted in the weeks up to the start.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.features.plans import TripPlan

ANONYMOUS = 30


class Strangers:
    """Plans of their trips, from the weeks up to one."""

    def __init__(self, cache: TensorCache, last_week: int) -> None:
        totals = cache.manifest["totals"]
        ended = [name for name, (_, last) in cache.split.items() if last <= last_week]
        trips = {
            who: sum(totals[name][who]["trips"] for name in ended if name in totals)
            for who in ("identified", "anonymous")
        }
        self._rate = trips["anonymous"] / max(trips["identified"], 1)

    def plans(self, known: Sequence[TripPlan], week: int, new: int, seed: int) -> list[TripPlan]:
        """Of a week with these trips of known customers: `new` first trips of new customers, then
        those of anonymous ones. None where no known customer came."""
        if not known:
            return []
        draw = np.random.default_rng((seed, ANONYMOUS, week))
        count = new + int(draw.poisson(self._rate * len(known)))
        return [known[place] for place in draw.integers(len(known), size=count)]
