"""What counting knows: how often and when a customer bought each product before.

For every question and every product that the customer bought on an earlier trip of the timeline,
a few numbers. Of a trip s that lies a = t - 1 - s trips before the last one before trip t, counts
are sums over the earlier trips with the product of

- rate^a, for several rates (exponential smoothing; with rate 1 the number of trips with it);
- exp(-days / 60), days between the trips;
- 0.97^a on trips at the same store, 0 on others;
- 0.97^a exp(-hours / 4), hours of the day between the trips;
- 0.97^a exp(m), m how many of the four columns of the trip context agree; where the context is
  hidden none does;
- 0.95^a exp(6 c), c the cosine of the trip's items with what is visible of the basket.

The last two are scaled so that all earlier trips together weigh what the powers alone would:
without context or visible items they are decayed counts.

Likeness says the same about pairs of question and earlier trip, for a model that learns its own
weights: how long ago, which columns of the context agree, and so on.

Gaps say when: days and trips since the last purchase, days since the first, and the usual days
between two purchases (-1 for a product bought once).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.features.history_sampling import RECENT, HistorySampling
from trainer.features.purchases import HISTORY_TRIPS, Pairs, PurchaseIndex
from trainer.features.tensors import TensorRecord
from trainer.features.trips import Items, Trips


@dataclass(frozen=True)
class HistorySettings:
    """How earlier trips are weighed. Weights of a model mean nothing under other settings, so its
    checkpoint keeps them."""

    rates: tuple[float, ...] = (1.0, 0.98, 0.95, 0.8, 0.5)
    """Weights per trip back; 1 counts trips."""
    days: float = 60.0
    """Days after which a trip weighs 1/e."""
    circumstances_rate: float = 0.97
    """Weight per trip back in counts by store, hour and kind."""
    hours: float = 4.0
    """Hours of difference in the time of day at which a trip weighs 1/e."""
    kind_gain: float = 1.0
    """What each column of the kind that agrees adds to the logarithm of a trip's weight."""
    neighbour_rate: float = 0.95
    """Weight per trip back in counts by likeness to what is visible."""
    neighbour_gain: float = 6.0
    """What a cosine of 1 with what is visible adds to the logarithm of a trip's weight."""
    trips: int = HISTORY_TRIPS
    """Earlier trips that count."""


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
    """How like each question is to each of the customer's earlier trips: P pairs of the two."""

    question: Tensor
    """(P,) int64 index into the questions, ascending."""
    likeness: Tensor
    """(P, likeness) float32, the columns of `trainer.features.purchase_history.LIKENESS`."""
    pair: Tensor
    """(U,) int64: for every item of every pair's trip the pair, ascending."""
    entry: Tensor
    """(U,) int64 and the entry of the purchase history (E) that it counts in."""


@dataclass(frozen=True)
class PurchaseHistory(TensorRecord):
    """What the customer bought before, for each question: E pairs of question and product."""

    question: Tensor
    """(E,) int64 index into the questions."""
    token: Tensor
    """(E,) int64 products of the vocabulary; others are left out."""
    counts: Tensor
    """(E, counts) float32: how often, in the ways of `trainer.features.purchase_history.COUNTS`."""
    gaps: Tensor
    """(E, gaps) float32: when, `trainer.features.purchase_history.GAPS`."""
    log_weight: Tensor
    """(E,) float32: logarithm of how many such products each stands for (`OwnSampling`)."""
    dropped_question: Tensor
    """(n,) int64 index into the questions, ascending, and"""
    dropped_token: Tensor
    """(n,) int64 previously bought products that are not scored; none unless sampled."""
    trips: EarlierTrips
    """The trips that they were bought on."""


@dataclass(frozen=True)
class Circumstances:
    """When, where and of which kind the T trips of a batch were."""

    day: np.ndarray
    """(T,) days, ascending within a timeline."""
    hour: np.ndarray
    """(T,) of the day."""
    store: np.ndarray
    """(T,) identities; 0 is unknown and matches nothing."""
    kind: np.ndarray
    """(T, 4) true codes of the trip context, 0 unknown."""

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
    products: int,
    sampling: HistorySampling | None = None,
) -> PurchaseHistory:
    """What was bought before the target trips of a batch of timelines.

    timelines (n,): number of trips of each. trips, items: of all T trips, complete. is_target (T,)
    bool. visible_kind (Q, 4): codes of the target trips, 0 where hidden. visible_items, targets:
    trips and tokens, two (S,) each, of what is visible of the target baskets and of what is to be
    predicted. products: N; tokens above it are of unknown products and left out. sampling: score
    some of the products only; all if left out.
    """
    pairs = Pairs.of(timelines, is_target)
    bought = PurchaseIndex(pairs, items, visible_items[1], targets[1])
    scored = (bought.times > 0) & (bought.token <= products)
    log_weight, left = np.zeros(len(scored), dtype=np.float32), np.zeros_like(scored)
    if sampling:
        recent = bought.sum(_power(RECENT, pairs.age))
        drawn, log_weight = sampling.draw(recent, bought.at(targets), bought.of_timelines())
        scored, left = scored & drawn, scored & ~drawn
    entry, left = np.flatnonzero(scored), np.flatnonzero(left)

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
        dropped_question=flat(bought.question[left]),
        dropped_token=flat(bought.token[left]),
        trips=EarlierTrips(flat(pairs.question), flat(likeness), pair, of_item),
    )


def _likeness(
    pairs: Pairs, bought: PurchaseIndex, trips: Circumstances, visible_kind: np.ndarray,
    visible_items: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """How like each pair's trips are, (P, LIKENESS), and what they weigh in counts, (P, COUNTS)."""
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
    """weight x gain (P,), each question's with the sum of its weights."""
    gained = weight * gain
    sums, least = np.bincount(question, weight), np.finfo(np.float64).tiny
    return gained * (sums / np.maximum(np.bincount(question, gained), least))[question]


def _power(rate: float, age: np.ndarray) -> np.ndarray:
    """rate^age of whole numbers (P,)."""
    return (rate ** np.arange(age.max(initial=0) + 1))[age]
