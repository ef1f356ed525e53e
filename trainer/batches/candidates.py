"""The part of a large vocabulary that a training batch speaks of.

A step that compares every basket with all of 100,000 products spends its time on products that
nobody in the batch has ever bought. So a batch has a vocabulary of its own: what it reads, which is
always in it, and products drawn from the rest, each weighted by the inverse of its probability in
the softmax, so that the denominator is unbiased. Tokens are renumbered in their order, so the
batch's vocabulary has the form of the whole one: `[PAD]`, products, `[MASK]`, `[EOS]`, fallbacks.

What a basket may hold is drawn as the chain sells it; half of the draws are uniform, so that no
product's weight is large.

Source: Bengio and Senecal, Adaptive Importance Sampling to Accelerate Training of a Neural
Probabilistic Language Model, IEEE Transactions on Neural Networks, 2008.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.cache.reader import TensorCache
from trainer.cache.vocabulary import SPECIAL_TOKENS, Vocabulary
from trainer.features.chain_sales import item_shares
from trainer.features.tensors import TensorRecord


@dataclass(frozen=True)
class Candidates(TensorRecord):
    """A batch's vocabulary of L tokens, the first C of which can be predicted."""

    token: Tensor
    """(L,) int64 tokens of the whole vocabulary, ascending; the batch's tokens are places in it."""
    log_weight: Tensor
    """(C,) float32 logarithm of the importance weight; 0 for what the batch reads."""

    @property
    def predicted(self) -> Tensor:
        """(C,) the tokens that can be predicted."""
        return self.token[: len(self.log_weight)]

    @property
    def vocabulary(self) -> Vocabulary:
        """The batch's own."""
        count = len(self.log_weight)
        return Vocabulary(count - SPECIAL_TOKENS, len(self.token) - count)

    def places(self, tokens: Tensor) -> Tensor:
        """The batch's tokens for those of the whole vocabulary, all of which are in it."""
        return torch.searchsorted(self.token, tokens)


class CandidateSampling:
    """Draws the vocabulary of a batch.

    Args:
        cache: whose products are drawn, those first sold after the training weeks never.
        draws: about how many products are drawn, at least 1.
    """

    def __init__(self, cache: TensorCache, draws: int) -> None:
        known = ~cache["products.is_novel"]
        popular = item_shares(cache)[1:-2]
        self.vocabulary = cache.vocabulary
        self.probability = known * (draws / 2 * (popular + 1 / known.sum())).clip(max=1)
        """(N,) of each product."""

    def draw(self, read: np.ndarray, seed: tuple[int, ...]) -> Candidates:
        """read (n,): tokens of the batch, in any order; seed: what the draws depend on."""
        vocabulary, products = self.vocabulary, slice(1, self.vocabulary.products + 1)
        is_read = np.zeros(vocabulary.input_size, dtype=bool)
        is_read[read] = is_read[vocabulary.specials] = True
        uniform = np.random.default_rng(seed).random(vocabulary.products)
        is_drawn = np.zeros_like(is_read)
        is_drawn[products] = uniform < self.probability
        token = np.flatnonzero(is_read | is_drawn)
        predicted = token[: np.searchsorted(token, vocabulary.size)]
        log_weight = np.zeros(len(predicted), dtype=np.float32)
        only_drawn = ~is_read[predicted]
        log_weight[only_drawn] = -np.log(self.probability[predicted[only_drawn] - 1])
        return Candidates(torch.from_numpy(token), torch.from_numpy(log_weight))
