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
        self.lifts = PairLifts(
            cache, rows if without is None else np.setdiff1d(rows, without), smoothing
        )

    def __call__(self, batch: TimelineBatch) -> Tensor:
        """(Q, V) float32, 0 where nothing is visible."""
        questions, tokens = batch.questions, self.lifts.tokens
        visible = questions.token < tokens
        total = torch.zeros(len(questions.trip), tokens, device=questions.token.device)
        bought, place = questions.token[visible].unique(return_inverse=True)
        question = questions.question[visible]
        for first in range(0, len(bought), ROWS):
            chosen = (place >= first) & (place < first + ROWS)
            lifts = self.lifts.of(bought[first : first + ROWS])[place[chosen] - first]
            total.index_add_(0, question[chosen], lifts, alpha=self.strength)
        return total


ROWS = 256
"""Products whose lifts are worked out at a time: of 70,000 products they take 70 MB."""


class PairLifts:
    """Log lifts of pairs of products in trips (n,).

    What is kept are the pairs bought together, far fewer than all; a product's lifts are worked out
    when they are asked for.
    """

    def __init__(self, cache: TensorCache, rows: np.ndarray, smoothing: float) -> None:
        vocabulary = cache.vocabulary
        self.tokens = vocabulary.size
        self._specials = vocabulary.specials
        self._smoothing = np.float32(smoothing)
        lengths, token = items_of(cache, rows)
        cells, counts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        # Every item with all items of its trip, a few thousand trips at a time.
        for part in np.array_split(np.arange(len(rows)), max(1, len(rows) // 5000)):
            begin = (lengths.cumsum() - lengths)[part]
            size = lengths[part]
            first = np.repeat(token[ranges(begin, size)], np.repeat(size, size)).astype(np.int64)
            second = token[ranges(np.repeat(begin, size), np.repeat(size, size))]
            known = vocabulary.is_product(first) & vocabulary.is_product(second)
            cell, count = np.unique(first[known] * self.tokens + second[known], return_counts=True)
            cells.append(cell)
            counts.append(count)
        cell, place = np.unique(np.concatenate(cells), return_inverse=True)
        self._together = np.bincount(place, np.concatenate(counts)).astype(np.float32)
        self._second = cell % self.tokens
        self._offsets = np.searchsorted(cell, np.arange(self.tokens + 1) * self.tokens)
        self._alone = np.zeros(self.tokens, np.float32)
        itself = cell // self.tokens == self._second
        self._alone[self._second[itself]] = self._together[itself]
        self._share = self._alone / np.float32(max(len(rows), 1))

    def of(self, products: Tensor) -> Tensor:
        """Lifts of products (n,) with all tokens: (n, V) float32, 0 for special tokens."""
        first = products.cpu().numpy()
        counts = self._offsets[first + 1] - self._offsets[first]
        lift = np.zeros((len(first), self.tokens), np.float32)
        pairs = ranges(self._offsets[first], counts)
        lift[np.repeat(np.arange(len(first)), counts), self._second[pairs]] = self._together[pairs]
        lift += self._smoothing
        lift /= np.outer(self._alone[first], self._share) + self._smoothing
        np.log(lift, out=lift)
        lift[np.isin(first, self._specials)] = 0
        lift[:, self._specials] = 0
        return torch.from_numpy(lift).to(products.device)
