"""What the loaders yield: flat tensors of trips, items and questions, and where they lie in rows.

Shape letters: T trips, I items, B rows, L steps per row, Q questions (trips that are asked about),
D decoder tokens, R rows of logits, G targets, S slots of a decoder row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import groupby
from typing import Any, TypeVar

import torch
from torch import Tensor

Part = TypeVar("Part")


def map_tensors(part: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same dataclass, tuple, dict or tensor with every tensor changed."""
    if isinstance(part, Tensor):
        return change(part)
    if isinstance(part, tuple):
        return tuple(map_tensors(value, change) for value in part)
    if isinstance(part, dict):
        return {name: map_tensors(value, change) for name, value in part.items()}
    if is_dataclass(part):
        return replace(
            part, **{f.name: map_tensors(getattr(part, f.name), change) for f in fields(part)}
        )
    return part


class _Movable:
    """Dataclasses of tensors, of tuples and dicts of them and of each other."""

    def to(self: Part, device: torch.device | str) -> Part:
        """The same on a device; copies from pinned memory do not wait."""
        return map_tensors(self, lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self: Part) -> Part:
        """The same in page-locked memory (torch's loaders call this)."""
        return map_tensors(self, lambda tensor: tensor.pin_memory())


@dataclass(frozen=True)
class Trips(_Movable):
    """Who shops, when and where, and the kind of trip: raw values, nothing normalised."""

    segments: Tensor
    """(T, 2) int64 labels: price sensitivity, lifestage."""
    history: Tensor
    """(T, history) float32, the columns of `HISTORY_COLUMNS` as of the trip's week."""
    affinity: Tensor
    """(T, affinity) float32, the columns of `AFFINITY_COLUMNS` as of the trip's week."""
    at_primary: Tensor
    """(T,) bool: at the store the customer visited most in earlier weeks."""
    history_weight: Tensor
    """(T,) float32: b of the cold-start blend."""
    has_history: Tensor
    """(T,) bool: there are trips in earlier weeks."""
    calendar: dict[str, Tensor]
    """(T,) int64 each, the arguments of `TimeEmbedding.forward` by name."""
    store: Tensor
    """(T, 3) int64: format and region labels, identity (store row + 1, 0 for a novel store)."""
    operations: Tensor
    """(T, 5) float32: the store's figures, `OPERATION_COLUMNS`."""
    context: Tensor
    """(T, 4) int64 true codes: size, sensitivity, type, focus; 0 unknown."""
    basket_id: Tensor
    """(T,) int64 as in the raw data."""
    row: Tensor
    """(T,) int64 rows of the cache's trips."""

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Items(_Movable):
    """The items of the trips, true and complete; order within a trip has no meaning."""

    trip: Tensor
    """(I,) int64 index into the batch's trips, ascending."""
    token: Tensor
    """(I,) int64 products 1..N, or fallback tokens from N + 3."""
    pence: Tensor
    """(I, 3) float32: price, price last seen at the store, base price."""


@dataclass(frozen=True)
class Bucket(_Movable):
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
class Baskets(_Movable):
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
class EarlierTrips(_Movable):
    """How like each question is to each of the customer's earlier trips: P pairs of the two."""

    question: Tensor
    """(P,) int64 index into the questions, ascending."""
    likeness: Tensor
    """(P, likeness) float32, the columns of `trainer.data.own.LIKENESS`."""
    pair: Tensor
    """(U,) int64: for every item of every pair's trip the pair, ascending."""
    entry: Tensor
    """(U,) int64 and which of the own products it is."""


@dataclass(frozen=True)
class OwnProducts(_Movable):
    """What the customer bought before, for each question: E pairs of question and product."""

    question: Tensor
    """(E,) int64 index into the questions."""
    token: Tensor
    """(E,) int64 products; those without a token of their own are left out."""
    counts: Tensor
    """(E, counts) float32: how often, in the ways of `trainer.data.own.COUNTS`."""
    gaps: Tensor
    """(E, gaps) float32: when, `trainer.data.own.GAPS`."""
    log_weight: Tensor
    """(E,) float32: logarithm of how many such products each stands for (`OwnSampling`)."""
    left_question: Tensor
    """(n,) int64 index into the questions, ascending, and"""
    left_token: Tensor
    """(n,) int64 own products that are not scored; none unless sampled."""
    trips: EarlierTrips
    """The trips that they were bought on."""


@dataclass(frozen=True)
class WeeklySales(_Movable):
    """What the chain sold lately, as of the week of each question."""

    table: Tensor
    """(weeks, columns, N + 3) float32, the columns of `trainer.data.sales.COLUMNS`."""
    shift: Tensor
    """(weeks, N + 3) float32: what to add to the logarithm of each product's share."""
    week: Tensor
    """(Q,) int64 row of both, per question."""


@dataclass(frozen=True)
class Questions(_Movable):
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
    whole: Tensor
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
    asked: Baskets
    """Rows of one token that gets logits, which looks at all of its basket."""
    own: OwnProducts
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
    left_row: Tensor
    """(n,) int64 row of the logits, ascending, and"""
    left_token: Tensor
    """(n,) int64 product that has no logit in it: own products that are not scored."""
    target: Tensor
    """(G,) int64 true tokens."""
    target_row: Tensor
    """(G,) int64 row of the logits that each target is asked of."""
    target_question: Tensor
    """(G,) int64 question of each target."""


@dataclass(frozen=True)
class TimelineBatch(_Movable):
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
