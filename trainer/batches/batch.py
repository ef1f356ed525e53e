"""What the loaders yield: flat tensors of trips, items and questions, and where they lie in rows.

Shape letters: T trips, I items, B rows, L steps per row, Q questions (trips that are asked about),
D decoder tokens, R rows of logits, G targets, S slots of a decoder row.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

import torch
from torch import Tensor

from trainer.features.chain_sales import WeeklySales
from trainer.features.purchase_history import PurchaseHistory
from trainer.features.tensors import TensorRecord
from trainer.features.trips import Items, Trips

Part = TypeVar("Part")


@dataclass(frozen=True)
class Bucket(TensorRecord):
    """Baskets that are about as long, padded to the longest of them, and who looks at them."""

    question: Tensor
    """(n,) int64 index into the questions."""
    query: Tensor
    """(n, K) int64 index into the K tokens per basket that look; repeats where padded."""
    token: Tensor
    """(n, S) int64 index into the decoder tokens that are looked at; repeats where padded."""
    valid: Tensor
    """(n, S) bool: not padded. The first slot is the question's `[MASK]`, always valid."""


@dataclass(frozen=True)
class Baskets(TensorRecord):
    """How flat tokens stand in padded rows, and back."""

    buckets: tuple[Bucket, ...]
    place: Tensor
    """(queries,) int64 place of each token that looks, in the slots of all buckets, one bucket
    after the other."""

    def by_queries(self) -> list[tuple[Tensor, Tensor]]:
        """Questions (n,) and queries (n, K) of the buckets, those of one K after another together:
        for what does not depend on a basket's length."""
        together = groupby(self.buckets, key=lambda bucket: bucket.query.shape[1])
        return [
            (torch.cat([b.question for b in group]), torch.cat([b.query for b in group]))
            for group in (list(buckets) for _, buckets in together)
        ]

    def flat(self, padded: list[Tensor]) -> Tensor:
        """One (n, K, width) per bucket to (queries, width)."""
        slots = torch.cat([part.flatten(0, 1) for part in padded])
        return slots.index_select(0, self.place)


@dataclass(frozen=True)
class Questions(TensorRecord):
    """Baskets with something hidden, and what is asked about them.

    All hidden items of a basket share one `[MASK]`: without positions they could not differ, and
    their number would give away the basket's size.
    """

    trip: Tensor
    """(Q,) int64 index into the batch's trips, ascending."""
    context: Tensor
    """(Q, 4) int64 codes as the model may see them: all 0 where hidden."""
    hidden: Tensor
    """(Q,) bool: the trip context is hidden."""
    fully_hidden: Tensor
    """(Q,) bool: nothing of the basket is visible: the next-basket question."""
    token: Tensor
    """(D,) int64 decoder tokens: for each question `[MASK]`, then its visible items."""
    question: Tensor
    """(D,) int64 the question of each decoder token, ascending."""
    pence: Tensor
    """(D, 3) float32 prices; 0 under a hidden price."""
    price_hidden: Tensor
    """(D,) bool."""
    baskets: Baskets
    """The same tokens in rows, one per question: each looks at all of its basket."""
    query_baskets: Baskets
    """Rows of one token that gets logits, which looks at all of its basket."""
    history: PurchaseHistory
    """The customer's earlier products."""
    sales: WeeklySales
    """What the chain sold lately."""
    logit: Tensor
    """(R,) int64 decoder tokens that get logits: first the Q `[MASK]` tokens in order, then
    items that were replaced or kept and have to be told."""
    entry: Tensor
    """(n,) int64 index into the own products: those of the question of each row of logits."""
    entry_row: Tensor
    """(n,) int64 row of the logits of each, ascending."""
    dropped_row: Tensor
    """(n,) int64 row of the logits, ascending, and"""
    dropped_token: Tensor
    """(n,) int64 product that has no logit in it: own products that are not scored."""
    target: Tensor
    """(G,) int64 true tokens."""
    target_row: Tensor
    """(G,) int64 row of the logits that each target is asked of."""
    target_question: Tensor
    """(G,) int64 question of each target."""


@dataclass(frozen=True)
class TimelineBatch(TensorRecord):
    """Whole timelines, packed into rows of one step per trip."""

    trips: Trips
    items: Items
    step: Tensor
    """(T,) int64 place of each trip in the flattened rows (B * L)."""
    sequence: Tensor
    """(B, L) int32 id of the timeline of each step; padding at a row's end has an id of its own."""
    position: Tensor
    """(T,) int64 trips of the same timeline before this one, in this batch."""
    questions: Questions
