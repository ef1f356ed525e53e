"""Which own products of a training batch are scored, and how much each stands for.

A customer of two years has bought hundreds of products, most of them long ago, and their scores
are what a training step costs most. So targets and what is bought often are always scored, others
with a probability, and then with its inverse as weight in the softmax: what the softmax divides by
stays right in the mean. Those left out are no tokens of that softmax.

Source: Bengio and Senecal, Adaptive Importance Sampling to Accelerate Training of a Neural
Probabilistic Language Model, IEEE Transactions on Neural Networks, 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RECENT, OFTEN = 0.95, 2.0
"""Trips with a product, weighted by the first number per trip back, from which on it is always
scored."""


@dataclass(frozen=True)
class HistorySampling:
    """For a batch of timelines. Raises ValueError where nothing would be scored but targets."""

    least: float
    """Smallest probability to be scored; others are recent trips with the product / `OFTEN`."""
    seeds: Sequence[Sequence[int]]
    """What the draws of each timeline depend on."""

    def __post_init__(self):
        if not 0 < self.least <= 1:
            raise ValueError(
                f"min_keep_probability: expected a probability above 0, at most 1, not {self.least}"
            )

    def draw(
        self, recent: np.ndarray, targets: np.ndarray, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Whether each product is scored, and the logarithm of its weight.

        recent (n,): recent trips with each product; targets (n,) bool: it is asked for; lengths:
        how many of them are of each timeline. Returns (n,) bool and (n,) float32.
        """
        chance = np.where(targets, 1, (recent / OFTEN).clip(self.least, 1)).astype(np.float32)
        uniform = [
            np.random.default_rng(seed).random(length, dtype=np.float32)
            for seed, length in zip(self.seeds, lengths, strict=True)
        ]
        return np.concatenate(uniform) < chance, -np.log(chance)
