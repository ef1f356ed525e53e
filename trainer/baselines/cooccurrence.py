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


PAIRS = 2_000_000
"""About how many pairs of items are counted at a time."""


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
        known = vocabulary.is_product(token)
        token, trip = token[known].astype(np.int64), np.repeat(np.arange(len(rows)), lengths)[known]
        size = np.bincount(trip, minlength=len(rows))
        begin = size.cumsum() - size
        # Every item with all items of its trip, for some products at a time.
        order = np.argsort(token, kind="stable")
        part = np.bincount(token, size[trip], self.tokens).cumsum() // PAIRS
        ends = np.searchsorted(part[token[order]], np.arange(part[-1] + 1), side="right")
        seconds, counts = [np.empty(0, np.int32)], [np.empty(0, np.float32)]
        pairs = np.zeros(self.tokens, np.int64)
        self._alone = np.zeros(self.tokens, np.float32)
        for chosen in np.split(order, ends):
            sizes = size[trip[chosen]]
            first = np.repeat(token[chosen], sizes)
            second = token[ranges(begin[trip[chosen]], sizes)]
            cell, count = np.unique(first * self.tokens + second, return_counts=True)
            first, second = np.divmod(cell, self.tokens)
            pairs += np.bincount(first, minlength=self.tokens)
            self._alone[first[first == second]] = count[first == second]
            seconds.append(second.astype(np.int32))
            counts.append(count.astype(np.float32))
        self._second, self._together = np.concatenate(seconds), np.concatenate(counts)
        self._offsets = np.concatenate([[0], pairs.cumsum()])
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
