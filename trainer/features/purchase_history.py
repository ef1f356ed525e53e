"""How often and when a customer bought each product before.

A few numbers for every question and every product that the customer bought on an earlier trip of
the timeline. Counts are sums over the earlier trips with the product. With a the number of trips
between an earlier trip and the target trip, a trip adds, one count each,

- rate^a, for several rates (exponential smoothing; with rate 1 the number of trips with it);
- exp(-days / 60), days between the trips;
- 0.97^a on trips at the same store, 0 on others;
- 0.97^a exp(-hours / 4), hours of the day between the trips;
- 0.97^a exp(m), m the number of columns of the trip context that agree; none where it is hidden;
- 0.95^a exp(6 c), c the cosine of the trip's items with the visible items of the basket.

In the last two, weights are scaled so that all earlier trips together weigh as much as with the
powers alone. So where the context is hidden or no item is visible, they are plain decayed counts.

Likeness has the same facts for each pair of question and earlier trip, for a model that learns how
to weight them: how long ago, which columns of the context agree, and so on.

Gaps are times: days and trips since the last purchase, days since the first, and the mean days
between two purchases (-1 for a product bought once).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.cache.vocabulary import Vocabulary
from trainer.features.history_sampling import RECENCY_DECAY, HistorySampling
from trainer.features.purchases import HISTORY_TRIPS, Pairs, PurchaseIndex
from trainer.features.tensors import TensorRecord
from trainer.features.trips import Items, Trips


@dataclass(frozen=True)
class HistorySettings:
    """How earlier trips are weighted. A model's weights are valid for one value of these settings
    only, so its checkpoint keeps them."""

    rates: tuple[float, ...] = (1.0, 0.98, 0.95, 0.8, 0.5)
    """Decay per trip back, one per count; 1 counts trips."""
    days: float = 60.0
    """Days after which a trip weighs 1/e."""
    circumstances_rate: float = 0.97
    """Decay per trip back in the counts by store, hour and kind."""
    hours: float = 4.0
    """Difference in the time of day, in hours, at which a trip weighs 1/e."""
    kind_gain: float = 1.0
    """Log weight that a trip gains per column of the kind that agrees."""
    neighbour_rate: float = 0.95
    """Decay per trip back in the count by similarity to the visible items."""
    neighbour_gain: float = 6.0
    """Log weight that a trip gains for a cosine of 1 with the visible items."""
    trips: int = HISTORY_TRIPS
    """Number of earlier trips that count, the most recent ones."""


HISTORY = HistorySettings()
COUNTS = (
    *(f"trips {rate:g}" for rate in HISTORY.rates), "days", "store", "hour", "kind", "neighbours",
)  # fmt: skip
"""Names of the columns of `PurchaseHistory.counts`."""
GAPS = ("days since", "trips since", "days since first", "usual days")
"""Names of the columns of `PurchaseHistory.gaps`."""
LIKENESS = (
    "trips back / 20", "log(1 + trips back)", "days / 60", "same size", "same sensitivity",
    "same type", "same focus", "same store", "same weekday", "hours / 4", "cosine", "log size",
)  # fmt: skip
"""Names of the columns of `EarlierTrips.likeness`."""


@dataclass(frozen=True)
class EarlierTrips(TensorRecord):
    """P pairs of a question and an earlier trip of the customer, and how alike the two are."""

    question: Tensor
    """(P,) int64 index into the questions, ascending."""
    likeness: Tensor
    """(P, likeness) float32, the columns of `trainer.features.purchase_history.LIKENESS`."""
    pair: Tensor
    """(U,) int64 pair of each item of each pair's trip, ascending."""
    entry: Tensor
    """(U,) int64 index of the same item among the E products of the `PurchaseHistory`."""


@dataclass(frozen=True)
class PurchaseHistory(TensorRecord):
    """What the customer of each question bought before: E pairs of question and product."""

    question: Tensor
    """(E,) int64 index into the questions."""
    token: Tensor
    """(E,) int64 products; those outside the vocabulary are left out."""
    counts: Tensor
    """(E, counts) float32, the columns of `trainer.features.purchase_history.COUNTS`."""
    gaps: Tensor
    """(E, gaps) float32, the columns of `trainer.features.purchase_history.GAPS`."""
    log_weight: Tensor
    """(E,) float32 logarithm of the importance weight (`HistorySampling`); 0 unless sampled."""
    dropped_question: Tensor
    """(n,) int64 question of each dropped product, ascending."""
    dropped_token: Tensor
    """(n,) int64 previously bought products that are not scored; none unless sampled."""
    trips: EarlierTrips
    """The trips on which the products were bought."""


@dataclass(frozen=True)
class Circumstances:
    """When, where and of which kind the T trips of a batch were."""

    day: np.ndarray
    """(T,) days, ascending within a timeline."""
    hour: np.ndarray
    """(T,) of the day."""
    store: np.ndarray
    """(T,) store row + 1; 0 is unknown and matches nothing."""
    kind: np.ndarray
    """(T, 4) true codes of the trip context; 0 is unknown and matches nothing."""

    @classmethod
    def of(cls, trips: Trips) -> Circumstances:
        """Those of a batch's trips."""
        calendar = trips.calendar
        return cls(
            calendar["day"].numpy(), calendar["hour"].numpy(), trips.store[:, -1].numpy(),
            trips.context.numpy(),
        )  # fmt: skip


def purchase_history(
    timelines: np.ndarray,
    trips: Circumstances,
    items: Items,
    is_target: np.ndarray,
    visible_kind: np.ndarray,
    visible_items: tuple[np.ndarray, np.ndarray],
    targets: tuple[np.ndarray, np.ndarray],
    vocabulary: Vocabulary,
    sampling: HistorySampling | None = None,
) -> PurchaseHistory:
    """Counts and gaps for the target trips of a batch of timelines.

    timelines (n,) number of trips of each; items: the true ones of all trips; is_target (T,) bool;
    visible_kind (Q, 4) codes of the target trips, 0 where hidden; visible_items, targets: trips and
    tokens (S,) of the visible items and of the targets. Products outside the vocabulary are left
    out. sampling: which products are scored; all if left out.
    """
    pairs = Pairs.of(timelines, is_target)
    bought = PurchaseIndex(pairs, items, visible_items[1], targets[1])
    scored = (bought.times > 0) & vocabulary.is_product(bought.token)
    log_weight, dropped = np.zeros(len(scored), dtype=np.float32), np.zeros_like(scored)
    if sampling:
        recent = bought.sum(_power(RECENCY_DECAY, pairs.age))
        drawn, log_weight = sampling.draw(recent, bought.at(targets), bought.of_timelines())
        scored, dropped = scored & drawn, scored & ~drawn
    entry, dropped = np.flatnonzero(scored), np.flatnonzero(dropped)

    entry_of_cell = np.full(len(scored), -1)
    entry_of_cell[entry] = np.arange(len(entry))
    of_item = entry_of_cell[bought.cell]
    kept = np.flatnonzero(of_item >= 0)
    flat = torch.from_numpy
    of_item, pair = flat(of_item[kept]), flat(bought.pair[kept])
    likeness, weights = _likeness(pairs, bought, trips, visible_kind, visible_items)
    counts = torch.zeros(len(entry), len(COUNTS))
    counts.index_add_(0, of_item, flat(weights).index_select(0, pair))
    return PurchaseHistory(
        question=flat(bought.question[entry]),
        token=flat(bought.token[entry]),
        counts=counts,
        gaps=flat(bought.gaps(entry, trips.day)),
        log_weight=flat(log_weight[entry]),
        dropped_question=flat(bought.question[dropped]),
        dropped_token=flat(bought.token[dropped]),
        trips=EarlierTrips(flat(pairs.question), flat(likeness), pair, of_item),
    )


def _likeness(
    pairs: Pairs, bought: PurchaseIndex, trips: Circumstances, visible_kind: np.ndarray,
    visible_items: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Likeness of each pair, (P, likeness), and the weight of its trip in counts, (P, counts)."""
    question, trip, age = pairs.question, pairs.trip, pairs.age
    now = pairs.target_trip[question]
    days = (trips.day[now] - trips.day[trip]).clip(min=0)
    hours = np.abs(trips.hour[now] - trips.hour[trip])
    same_store = (trips.store[now] == trips.store[trip]) & (trips.store[trip] > 0)
    agree = [
        (visible_codes[question] == kind[trip]) & (visible_codes > 0)[question]
        for visible_codes, kind in zip(visible_kind.T.copy(), trips.kind.T.copy(), strict=True)
    ]
    visible = np.bincount(
        np.searchsorted(pairs.target_trip, visible_items[0]), minlength=len(pairs.target_trip)
    )
    both = np.bincount(bought.pair, bought.at(visible_items)[bought.cell], minlength=len(trip))
    cosine = both / np.sqrt(np.maximum(visible[question] * bought.sizes[trip], 1))
    likeness = [
        age / 20, np.log1p(age), days / 60, *agree, same_store,
        trips.day[now] % 7 == trips.day[trip] % 7, hours / 4, cosine,
        np.log(bought.items.clip(min=1))[trip],
    ]  # fmt: skip
    recent = _power(HISTORY.circumstances_rate, age)
    near = _power(HISTORY.neighbour_rate, age)
    weights = [
        *(_power(rate, age) for rate in HISTORY.rates),
        np.exp(-days / HISTORY.days),
        recent * same_store,
        recent * np.exp(-hours / HISTORY.hours),
        _scaled(recent, np.exp(HISTORY.kind_gain * np.sum(agree, axis=0)), question),
        _scaled(near, np.exp(HISTORY.neighbour_gain * cosine), question),
    ]
    return tuple(np.stack(part, dtype=np.float32).T.copy() for part in (likeness, weights))


def _scaled(weight: np.ndarray, gain: np.ndarray, question: np.ndarray) -> np.ndarray:
    """weight x gain (P,), scaled so that each question's sum is that of its weights."""
    gained = weight * gain
    sums, tiny = np.bincount(question, weight), np.finfo(np.float64).tiny
    return gained * (sums / np.maximum(np.bincount(question, gained), tiny))[question]


def _power(rate: float, age: np.ndarray) -> np.ndarray:
    """rate^age of whole numbers (P,)."""
    return (rate ** np.arange(age.max(initial=0) + 1))[age]
