"""Calibration: expected against observed purchases.

For a basket with n hidden items the model gives every product a probability of being among them
(`trainer.model.calibration`). Over many pairs of question and product, these should add up to the
purchases observed, for likely and for unlikely pairs alike. n is given, so the totals agree by
construction: the table tests how purchases are distributed over the pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.evaluation.ground_truth import GroundTruth
from trainer.model.calibration import basket_p

ROWS = 10
LOWEST, PER_DECADE = -9, 100
"""Probabilities from 10^-9 to 1, in bins of equal width of the logarithm."""
BINS = -LOWEST * PER_DECADE


@dataclass(frozen=True)
class CalibrationRow:
    """Pairs of question and product that make up a tenth of all expected purchases."""

    pairs: int
    expected: float
    observed: int
    ratio: float
    """observed / expected."""


class CalibrationTable:
    """Sums of expected and observed purchases by probability, batch after batch."""

    def __init__(self) -> None:
        self._pairs, self._expected, self._observed = np.zeros((3, BINS))

    def add(self, log_p: Tensor, slopes: Tensor, truth: GroundTruth, chosen: Tensor) -> None:
        """Count the chosen (Q,) bool questions.

        log_p (Q, V) log-probabilities that an item is a product, -inf for what cannot be an answer;
        slopes as for `basket_p`.
        """
        targets = torch.bincount(truth.question, minlength=len(log_p))
        chosen = chosen & (targets > 0)
        if not chosen.any():
            return
        p = basket_p(log_p[chosen], targets[chosen], slopes)
        index = ((p.log10() - LOWEST) * PER_DECADE).clamp(0, BINS - 1).long()
        possible = log_p[chosen].isfinite()
        row, counted = chosen.cumsum(0) - 1, chosen[truth.question]
        bought = index[row[truth.question[counted]], truth.target[counted]]
        self._pairs += _histogram(index[possible])
        self._expected += _histogram(index[possible], p[possible].double())
        self._observed += _histogram(bought)

    def rows(self) -> tuple[CalibrationRow, ...]:
        """From the least to the most likely, about a tenth of the expected purchases in each."""
        total = self._expected.sum()
        if not total:
            return ()
        middle = (self._expected.cumsum() - self._expected / 2) / total
        row = (middle * ROWS).astype(int).clip(0, ROWS - 1)
        sums = [np.bincount(row, part, ROWS) for part in self._parts()]
        return tuple(
            CalibrationRow(int(pairs), expected, int(observed), _ratio(observed, expected))
            for pairs, expected, observed in zip(*(part.tolist() for part in sums), strict=True)
        )

    def _parts(self) -> tuple[np.ndarray, ...]:
        return self._pairs, self._expected, self._observed


def _histogram(index: Tensor, weight: Tensor | None = None) -> np.ndarray:
    return torch.bincount(index, weight, BINS).cpu().numpy()


def _ratio(observed: float, expected: float) -> float:
    return observed / expected if expected else float("nan")
