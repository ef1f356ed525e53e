"""What the loaders yield: flat tensors of trips, items and questions, and their places in rows.

Shape letters: T trips, I items, B rows, L steps per row, Q questions (one per target trip),
D decoder tokens, R rows of logits, G targets, K query tokens and S slots of a decoder row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.batches.candidates import Candidates
from trainer.features.chain_sales import RecentSales
from trainer.features.purchase_history import PurchaseHistory
from trainer.features.tensors import TensorRecord
from trainer.features.trips import Items, Trips
from trainer.features.visits import Visits


@dataclass(frozen=True)
class Bucket(TensorRecord):
    """Baskets of similar length, padded to the longest, and the tokens that attend to them."""

    question: Tensor
    """(n,) int64 index into the questions."""
    query: Tensor
    """(n, K) int64 index into the query tokens, which attend; padding repeats the first."""
    token: Tensor
    """(n, S) int64 index into the decoder tokens they attend to; padding repeats the first."""
    valid: Tensor
    """(n, S) bool: not padded. The first slot is the question's `[MASK]`, always valid."""


@dataclass(frozen=True)
class Baskets(TensorRecord):
    """Where flat tokens lie in padded rows."""

    buckets: tuple[Bucket, ...]
    place: Tensor
    """(queries,) int64 place of each query token among the slots of all buckets, one bucket after
    the other."""

    def flat(self, padded: list[Tensor]) -> Tensor:
        """One (n, K, width) per bucket to (queries, width), in the order of the queries."""
        slots = torch.cat([part.flatten(0, 1) for part in padded])
        return slots.index_select(0, self.place)


@dataclass(frozen=True)
class Questions(TensorRecord):
    """Baskets with hidden items, and the targets to predict.

    All hidden items of a basket share one `[MASK]`: without positions several would be identical,
    and their number would reveal the basket's size.
    """

    trip: Tensor
    """(Q,) int64 index into the batch's trips, ascending."""
    context: Tensor
    """(Q, 4) int64 codes of the trip context; all 0 where hidden."""
    hidden: Tensor
    """(Q,) bool: the trip context is hidden."""
    fully_hidden: Tensor
    """(Q,) bool: no item of the basket is visible (the next-basket question)."""
    token: Tensor
    """(D,) int64 decoder tokens: for each question `[MASK]`, then its visible items."""
    question: Tensor
    """(D,) int64 the question of each decoder token, ascending."""
    pence: Tensor
    """(D, 3) float32 prices; 0 under a hidden price."""
    price_hidden: Tensor
    """(D,) bool."""
    baskets: Baskets
    """The same tokens in rows, one per question: each attends to its whole basket."""
    query_baskets: Baskets
    """One row per token that gets logits, which attends to its whole basket."""
    history: PurchaseHistory
    """What the customers bought before."""
    sales: RecentSales
    """Recent sales of the chain."""
    logit: Tensor
    """(R,) int64 decoder tokens that get logits: first the Q `[MASK]` tokens in order, then the
    targets that are visible, replaced or kept."""
    entry: Tensor
    """(n,) int64 index into `history.products`: for each row of logits, those of its question."""
    entry_row: Tensor
    """(n,) int64 row of logits of each entry, ascending."""
    dropped_row: Tensor
    """(n,) int64 row of logits of each dropped token, ascending."""
    dropped_token: Tensor
    """(n,) int64 previously bought product that has no logit in that row: it is not scored."""
    target: Tensor
    """(G,) int64 true tokens."""
    target_row: Tensor
    """(G,) int64 row of logits that predicts each target."""
    target_question: Tensor
    """(G,) int64 question of each target."""
    candidates: Candidates | None = None
    """The vocabulary whose tokens the batch holds, where that is not the whole one."""

    def whole(self, token: Tensor) -> Tensor:
        """These tokens (n,) of the questions in the whole vocabulary."""
        return token if self.candidates is None else self.candidates.token[token]


@dataclass(frozen=True)
class TimelineBatch(TensorRecord):
    """Whole timelines, packed into rows of one step per trip.

    All tokens are those of `questions.candidates`, where the batch has a vocabulary of its own.
    """

    trips: Trips
    items: Items
    step: Tensor
    """(T,) int64 place of each trip in the flattened rows (B * L)."""
    sequence: Tensor
    """(B, L) int32 id of the timeline of each step; 0 for padding at a row's end."""
    position: Tensor
    """(T,) int64 trips of the same timeline before this one, in this batch."""
    questions: Questions | None = None
    """What is asked of baskets; None where only visits are."""
    visits: Visits | None = None
    """What follows each target trip; None where it is not asked."""
