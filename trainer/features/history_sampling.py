"""Which previously bought products a training batch scores, and their importance weights.

After two years a customer has bought hundreds of products, most of them long ago, and scoring them
is the most expensive part of a training step. So targets and products bought often are always
scored. Others are scored with some probability, and weighted by its inverse in the softmax, so that
the denominator is unbiased. A product that is not scored is left out of that softmax.

Source: Bengio and Senecal, Adaptive Importance Sampling to Accelerate Training of a Neural
Probabilistic Language Model, IEEE Transactions on Neural Networks, 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RECENCY_DECAY = 0.95
"""Weight of a trip with a product, per trip after it."""
FREQUENT_TRIPS = 2.0
"""Weighted number of trips from which on a product is always scored."""


@dataclass(frozen=True)
class HistorySampling:
    """Sampling for a batch of timelines. Raises ValueError for a probability outside (0, 1]."""

    min_probability: float
    """Lower bound of a product's probability, which is its weighted trips / `FREQUENT_TRIPS`."""
    seeds: Sequence[Sequence[int]]
    """What the draws of each timeline depend on."""

    def __post_init__(self):
        if not 0 < self.min_probability <= 1:
            raise ValueError(
                "min_keep_probability: expected a probability above 0, at most 1, "
                f"not {self.min_probability}"
            )

    def draw(
        self, recent: np.ndarray, targets: np.ndarray, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Whether each product is scored, and the logarithm of its weight.

        recent (n,): weighted trips with each product; targets (n,) bool: the product is a target;
        lengths: number of these products in each timeline. Returns (n,) bool and (n,) float32.
        """
        kept = (recent / FREQUENT_TRIPS).clip(self.min_probability, 1)
        probability = np.where(targets, 1, kept).astype(np.float32)
        uniform = [
            np.random.default_rng(seed).random(length, dtype=np.float32)
            for seed, length in zip(self.seeds, lengths, strict=True)
        ]
        return np.concatenate(uniform) < probability, -np.log(probability)
