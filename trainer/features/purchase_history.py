"""What a customer bought before, and when: by product and by category.

For every question, each product that the customer bought on an earlier trip of the timeline, and
each finest category of such products, is an entry. A model counts the trips with an entry, each
with a weight of its own making: it depends on how like the earlier trip is to the one in question
(`LIKENESS`).

Gaps are times: days and trips since the last purchase, days since the first, and the mean days
between two purchases (-1 for what was bought once).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.cache.vocabulary import Vocabulary
from trainer.features.circumstances import Circumstances
from trainer.features.history_sampling import RECENCY_DECAY, HistorySampling
from trainer.features.purchase_sequences import PurchaseSequences
from trainer.features.purchases import Pairs, PurchaseIndex
from trainer.features.tensors import TensorRecord
from trainer.features.trips import Items

GAPS = ("days since", "trips since", "days since first", "usual days")
"""Names of the columns of `Bought.gaps`."""
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
    """(P, likeness) float32, the columns of `trainer.features.purchase_history.LIKENESS`; the
    cosine is that of the trip's items with the visible items of the basket."""


@dataclass(frozen=True)
class Bought(TensorRecord):
    """What the customer of each question bought before: E pairs of question and product, or of
    question and category."""

    question: Tensor
    """(E,) int64 index into the questions, ascending."""
    token: Tensor
    """(E,) int64 products, or rows of categories; ascending within a question."""
    times: Tensor
    """(E,) float32 earlier trips with it."""
    gaps: Tensor
    """(E, gaps) float32, the columns of `trainer.features.purchase_history.GAPS`."""
    pair: Tensor
    """(U,) int64 pair of question and earlier trip of each purchase, ascending."""
    entry: Tensor
    """(U,) int64 entry of each purchase."""
    sequences: PurchaseSequences | None
    """All purchases of the batch, those of later trips among them; None where they need not be
    scanned."""
    last: Tensor | None
    """(E,) int64 the last purchase before the question, an index into `sequences`."""
    output: Tensor | None = None
    """(E, channels) the scan's output after the last purchase, where it is kept (`KeptPurchases`)
    in place of `sequences`."""

    def find(self, question: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        """Those of the pairs (n,) of question and token that are entries, indices (m,) into them,
        and their entries, (m,)."""
        if not len(self.token):
            return question[:0], question[:0]
        width = 1 + torch.cat([self.token, token]).max()
        key, wanted = self.question * width + self.token, question * width + token
        entry = torch.searchsorted(key, wanted).clamp_max(len(key) - 1)
        found = (key[entry] == wanted).nonzero().squeeze(1)
        return found, entry[found]


@dataclass(frozen=True)
class PurchaseHistory(TensorRecord):
    """Earlier purchases of the customer of each question."""

    trips: EarlierTrips
    """The trips on which they were made."""
    products: Bought
    """Of products; those outside the vocabulary are left out."""
    categories: Bought
    """Of finest categories."""
    category: Tensor
    """(E,) int64 entry of each product's category among `categories`."""
    log_weight: Tensor
    """(E,) float32 logarithm of the importance weight of each product (`HistorySampling`); 0 unless
    sampled."""
    dropped_question: Tensor
    """(n,) int64 question of each dropped product, ascending."""
    dropped_token: Tensor
    """(n,) int64 previously bought products that are not scored; none unless sampled."""


def purchase_history(
    timelines: np.ndarray,
    trips: Circumstances,
    items: Items,
    is_target: np.ndarray,
    visible_kind: np.ndarray,
    visible_items: tuple[np.ndarray, np.ndarray],
    targets: tuple[np.ndarray, np.ndarray],
    vocabulary: Vocabulary,
    category: np.ndarray,
    sampling: HistorySampling | None = None,
    outputs: tuple[Tensor, Tensor] | None = None,
) -> PurchaseHistory:
    """Earlier purchases for the target trips of a batch of timelines.

    timelines (n,) number of trips of each; items: the true ones of all trips; is_target (T,) bool;
    visible_kind (Q, 4) codes of the target trips, 0 where hidden; visible_items, targets: trips and
    tokens (S,) of the visible items and of the targets. Products outside the vocabulary are left
    out. category: `category_of_token` of the vocabulary. sampling: which products are scored; all
    if left out. outputs: what is kept of all products and of all categories, in the order of
    their entries, so that no purchases need be scanned.
    """
    pairs = Pairs.of(timelines, is_target)
    index = PurchaseIndex(pairs, items, visible_items[1], targets[1])
    scored = (index.times > 0) & vocabulary.is_product(index.token)
    log_weight, dropped = np.zeros(len(scored), dtype=np.float32), np.zeros_like(scored)
    if sampling:
        recent = index.sum((RECENCY_DECAY ** np.arange(pairs.age.max(initial=0) + 1))[pairs.age])
        drawn, log_weight = sampling.draw(recent, index.at(targets), index.of_timelines())
        scored, dropped = scored & drawn, scored & ~drawn
    dropped = np.flatnonzero(dropped)
    above = PurchaseIndex(
        pairs, Items(items.trip, torch.from_numpy(category[items.token.numpy()]), items.pence)
    )
    of_products, of_categories = outputs or (None, None)
    categories = _bought(above, above.times > 0, trips, of_categories)
    products = _bought(index, scored, trips, of_products)
    entry = above.entries(products.question.numpy(), category[products.token.numpy()])
    flat = torch.from_numpy
    return PurchaseHistory(
        trips=EarlierTrips(
            flat(pairs.question), flat(_likeness(pairs, index, trips, visible_kind, visible_items))
        ),
        products=products,
        categories=categories,
        category=flat((above.times > 0).cumsum()[entry] - 1),
        log_weight=flat(log_weight[scored]),
        dropped_question=flat(index.question[dropped]),
        dropped_token=flat(index.token[dropped]),
    )


def _bought(
    index: PurchaseIndex, chosen: np.ndarray, trips: Circumstances, output: Tensor | None
) -> Bought:
    """The chosen cells, (cells,) bool, as entries."""
    cell = np.flatnonzero(chosen)
    entry_of_cell = np.full(len(chosen), -1)
    entry_of_cell[cell] = np.arange(len(cell))
    entry = entry_of_cell[index.cell]
    kept = np.flatnonzero(entry >= 0)
    flat = torch.from_numpy
    return Bought(
        question=flat(index.question[cell]),
        token=flat(index.token[cell]),
        times=flat(index.times[cell].astype(np.float32)),
        gaps=flat(index.gaps(cell, trips.day)),
        pair=flat(index.pair[kept]),
        entry=flat(entry[kept]),
        sequences=index.sequences(trips) if output is None else None,
        last=flat(index.last[cell]) if output is None else None,
        output=output,
    )


def _likeness(
    pairs: Pairs, bought: PurchaseIndex, trips: Circumstances, visible_kind: np.ndarray,
    visible_items: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:  # fmt: skip
    """Likeness of each pair, (P, likeness)."""
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
    return np.stack(likeness, dtype=np.float32).T.copy()
