"""Earlier purchases item by item, for rules that weight them differently.

Shape letters: n owners, P earlier items, V = N + 3 tokens. Owners are the questions of a batch, or
the customers of the training weeks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from trainer.batches.batch import TimelineBatch
from trainer.cache.held_out import training_trips
from trainer.cache.reader import TensorCache
from trainer.cache.rows import customer_of, items_of
from trainer.cache.vocabulary import Vocabulary

Made = TypeVar("Made")


class Once(Generic[Made]):
    """A function of a batch that keeps its last result: rules share it, one batch after another."""

    def __init__(self, make: Callable[[TimelineBatch], Made]) -> None:
        self._make = make
        self._batch: TimelineBatch | None = None

    def __call__(self, batch: TimelineBatch) -> Made:
        if self._batch is not batch:
            self._made = self._make(batch)
            self._batch = batch
        return self._made


@dataclass(frozen=True)
class EarlierItems:
    """Items that n owners bought earlier. Products outside the vocabulary are left out."""

    owner: Tensor
    """(P,) int64, ascending."""
    token: Tensor
    """(P,) int64 products."""
    trips_ago: Tensor
    """(P,) int64 trips between the item's trip and now: 0 for the last trip."""
    days_ago: Tensor
    """(P,) int64 days from the item's trip to now."""
    trips: Tensor
    """(n,) int64 earlier trips of each owner."""

    @classmethod
    def of_questions(cls, batch: TimelineBatch, vocabulary: Vocabulary) -> EarlierItems:
        """Of each question: from strictly earlier trips of its timeline; now is its trip."""
        trip, items = batch.questions.trip, batch.items
        first = trip - batch.position[trip]
        per_trip = torch.bincount(items.trip, minlength=len(batch.trips))
        start = torch.cat([per_trip.new_zeros(1), per_trip.cumsum(0)])
        lengths = start[trip] - start[first]
        owner = torch.repeat_interleave(lengths)
        shift = start[first] - (lengths.cumsum(0) - lengths)
        item = torch.arange(len(owner), device=owner.device) + shift[owner]
        then, now = items.trip[item], trip[owner]
        day = batch.trips.calendar["day"]
        kept = vocabulary.is_product(items.token[item])
        return cls(
            owner=owner[kept],
            token=items.token[item][kept],
            trips_ago=(now - 1 - then)[kept],
            days_ago=(day[now] - day[then])[kept],
            trips=batch.position[trip],
        )

    @classmethod
    def of_training(cls, cache: TensorCache) -> EarlierItems:
        """Of every customer of the cache, until the last training trip, which is now.

        Customers who are kept out of training have none.
        """
        rows = training_trips(cache)
        owner_of_trip = customer_of(cache, rows)
        trips = np.bincount(owner_of_trip, minlength=cache.rows("customers"))
        last = trips.cumsum() - 1
        place = np.arange(len(rows))
        lengths, token = items_of(cache, rows)
        kept = cache.vocabulary.is_product(token)
        then = np.repeat(place, lengths)[kept]
        owner = owner_of_trip[then]
        day = cache["trips.day"][rows].astype(np.int64)
        parts = (owner, token[kept], last[owner] - then, day[last[owner]] - day[then], trips)
        return cls(*(torch.from_numpy(part) for part in parts))

    def sums(self, weight: Tensor, tokens: int) -> Tensor:
        """Sums of weights (P,) by owner and product, (n, V) float32."""
        total = weight.new_zeros(len(self.trips) * tokens)
        cell = self.owner * tokens + self.token
        return total.index_add_(0, cell, weight).view(len(self.trips), tokens)
