"""Which store a customer tries who has not been there before."""

from __future__ import annotations

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.features.plans import UNKNOWN_STORE


class NewStores:
    """By region and format of the stores that the customer knows, and by the trips that each store
    has: counted from first visits in the weeks up to one.

    Attributes:
        trips: (stores,) float64 trips of customers in these weeks.
    """

    def __init__(self, cache: TensorCache, last_week: int) -> None:
        week = cache["trips.week"] <= last_week
        store = cache["trips.store"].astype(np.int64)
        stores = cache.rows("stores")
        self.trips = np.bincount(store[week], minlength=stores).astype(np.float64)
        self._region = cache["stores.region"].astype(np.int64)
        trips = np.diff(cache["customers.trip_offsets"].astype(np.int64))
        customer = np.repeat(np.arange(len(trips)), trips)[week]
        _, first = np.unique(customer * stores + store[week], return_index=True)
        first = np.sort(first)
        customer, chosen = customer[first], self._region[store[week][first]]
        later = np.append(False, customer[1:] == customer[:-1])
        self._near = float((chosen[1:] == chosen[:-1])[later[1:]].mean()) if later.any() else 0.0

    def draw(self, known: np.ndarray, tried: np.ndarray, u: float) -> int:
        """A row of the chain's stores by a uniform u; `UNKNOWN_STORE` where there is none left.

        known (n,): rows of those where the customer was; tried (stores,): how often others go.
        """
        weight = tried.astype(np.float64)
        known = known[known >= 0]
        weight[known] = 0
        if len(known):
            near = np.isin(self._region, self._region[known])
            for part, share in ((near, self._near), (~near, 1 - self._near)):
                total = weight[part].sum()
                weight[part] *= share / total if total > 0 else 0
        if not weight.sum() > 0:
            return UNKNOWN_STORE
        cumulative = weight.cumsum()
        return int(np.searchsorted(cumulative, u * cumulative[-1]).clip(max=len(weight) - 1))
