"""Products bought together: lifts of pairs of products."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainer.batches.batch import TimelineBatch
from trainer.cache.held_out import training_trips
from trainer.cache.ragged import ranges
from trainer.cache.reader import TensorCache
from trainer.cache.rows import items_of


class Cooccurrence:
    """b times the sum of the log lifts of a product with each visible item of the basket.

    The lift of two products is (m + s) / (e + s): m of n training trips hold both, e = n_i n_j / n
    would if they were independent, and s such trips are added for smoothing.

    Args:
        cache: whose training weeks the lifts are of.
        strength: b.
        smoothing: s.
        without: rows of trips that do not count, if any.
    """

    def __init__(
        self, cache: TensorCache, strength: float, smoothing: float,
        without: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        rows = training_trips(cache)
        self.strength = strength
        self.lift = pair_lifts(
            cache, rows if without is None else np.setdiff1d(rows, without), smoothing
        )

    def __call__(self, batch: TimelineBatch) -> Tensor:
        """(Q, V) float32, 0 where nothing is visible."""
        questions, tokens = batch.questions, len(self.lift)
        visible = questions.token < tokens
        lifts = self.lift.to(questions.token.device)[questions.token[visible]]
        total = lifts.new_zeros(len(questions.trip), tokens)
        return total.index_add_(0, questions.question[visible], lifts, alpha=self.strength)


def pair_lifts(cache: TensorCache, rows: np.ndarray, smoothing: float) -> Tensor:
    """Log lifts of pairs of products in trips (n,), (V, V) float32; 0 for special tokens.

    V^2 values of 4 bytes: 100 MB for 5,000 products.
    """
    vocabulary, tokens = cache.vocabulary, cache.vocabulary.size
    lengths, token = items_of(cache, rows)
    together = np.zeros((tokens, tokens), dtype=np.float32)
    # Every item with all items of its trip, a few thousand trips at a time.
    for part in np.array_split(np.arange(len(rows)), max(1, len(rows) // 5000)):
        begin = (lengths.cumsum() - lengths)[part]
        size = lengths[part]
        first = np.repeat(token[ranges(begin, size)], np.repeat(size, size))
        second = token[ranges(np.repeat(begin, size), np.repeat(size, size))]
        known = vocabulary.is_product(first) & vocabulary.is_product(second)
        cells, counts = np.unique(first[known] * tokens + second[known], return_counts=True)
        together.ravel()[cells] += counts
    alone = together.diagonal().copy()
    together += smoothing
    together /= np.outer(alone, alone / max(len(rows), 1)) + np.float32(smoothing)
    lift = np.log(together, out=together)
    lift[vocabulary.specials] = 0
    lift[:, vocabulary.specials] = 0
    return torch.from_numpy(lift)
