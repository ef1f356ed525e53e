"""How often a customer bought each product before, counted in ten ways.

Counts are sums over the earlier trips with the product. With a the number of trips between an
earlier trip and the target trip, a trip adds, one count each,

- rate^a, for several rates (exponential smoothing; with rate 1 the number of trips with it);
- exp(-days / 60), days between the trips;
- 0.97^a on trips at the same store, 0 on others;
- 0.97^a exp(-hours / 4), hours of the day between the trips;
- 0.97^a exp(m), m the number of columns of the trip context that agree; none where it is hidden;
- 0.95^a exp(6 c), c the cosine of the trip's items with the visible items of the basket.

In the last two, weights are scaled so that all earlier trips together weigh as much as with the
powers alone. So where the context is hidden or no item is visible, they are plain decayed counts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.features.purchase_history import LIKENESS, PurchaseHistory
from trainer.model.purchases.similar_trips import weighted_counts

RATES = (1.0, 0.98, 0.95, 0.8, 0.5)
"""Decay per trip back, one per count; 1 counts trips."""
DAYS = 60.0
"""Days after which a trip weighs 1/e."""
CIRCUMSTANCES_RATE = 0.97
"""Decay per trip back in the counts by store, hour and kind."""
HOURS = 4.0
"""Difference in the time of day, in hours, at which a trip weighs 1/e."""
KIND_GAIN = 1.0
"""Log weight that a trip gains per column of the kind that agrees."""
NEIGHBOUR_RATE = 0.95
"""Decay per trip back in the count by similarity to the visible items."""
NEIGHBOUR_GAIN = 6.0
"""Log weight that a trip gains for a cosine of 1 with the visible items."""
COUNTS = (
    *(f"trips {rate:g}" for rate in RATES), "days", "store", "hour", "kind", "neighbours",
)  # fmt: skip
"""Names of the columns of `own_counts`."""


def own_counts(history: PurchaseHistory) -> Tensor:
    """(E, counts) float32 of the products bought before, the columns `COUNTS`."""
    return weighted_counts(history.products, _weights(history))


def category_counts(history: PurchaseHistory) -> Tensor:
    """The same of the finest categories bought before."""
    return weighted_counts(history.categories, _weights(history))


def _weights(history: PurchaseHistory) -> Tensor:
    """(P, counts) weight of each earlier trip."""
    trips = history.trips
    of = dict(zip(LIKENESS, trips.likeness.unbind(1), strict=True))
    age = (of["trips back / 20"] * 20).round()
    agree = of["same size"] + of["same sensitivity"] + of["same type"] + of["same focus"]
    recent, near = CIRCUMSTANCES_RATE**age, NEIGHBOUR_RATE**age

    def scaled(weight: Tensor, log_gain: Tensor) -> Tensor:
        """weight x gain, scaled so that each question's sum is that of its weights."""
        gained = weight * log_gain.exp()
        if not len(gained):
            return gained
        sums, gained_sums = (
            part.new_zeros(int(trips.question[-1]) + 1).index_add(0, trips.question, part)
            for part in (weight, gained)
        )
        scale = sums / gained_sums.clamp_min(torch.finfo(gained.dtype).tiny)
        return gained * scale[trips.question]

    weights = [
        *(rate**age for rate in RATES),
        (-of["days / 60"] * 60 / DAYS).exp(),
        recent * of["same store"],
        recent * (-of["hours / 4"] * 4 / HOURS).exp(),
        scaled(recent, KIND_GAIN * agree),
        scaled(near, NEIGHBOUR_GAIN * of["cosine"]),
    ]
    return torch.stack(weights, dim=1)
