"""Do products sell as often as the model says? Expected against observed purchases.

A softmax over products says which product an item is, not whether a basket holds it. Of a basket
with n hidden items it makes an expected count: n times the probability. Over many pairs of question
and product, expected counts should add up to the purchases observed, among the likely and among the
unlikely. n is given, so the totals agree by construction: what is tested is how they are spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.evaluation.asked import Asked

ROWS = 10
LOWEST, HIGHEST, PER_DECADE = -9, 2, 100
"""Expected counts from 10^-9 to 10^2 in bins of equal width of the logarithm."""
BINS = (HIGHEST - LOWEST) * PER_DECADE


@dataclass(frozen=True)
class CalibrationRow:
    """Pairs of question and product with a tenth of all expected purchases."""

    pairs: int
    expected: float
    observed: int
    ratio: float
    """observed / expected."""


class Calibration:
    """Sums of expected and observed purchases by expected count, batch after batch."""

    def __init__(self) -> None:
        self._pairs, self._expected, self._observed = np.zeros((3, BINS))

    def add(self, scores: Tensor, asked: Asked, chosen: Tensor) -> None:
        """Count the chosen (Q,) bool questions; scores (Q, V) of `Asked.possible`."""
        told = asked.sums(torch.ones_like(asked.target)).to(scores.dtype)
        count = scores.log_softmax(1) + told.log()[:, None]
        place = ((count / np.log(10) - LOWEST) * PER_DECADE).clamp(0, BINS - 1).long()
        counted = count.isfinite() & chosen[:, None]
        bought = place[asked.question, asked.target][chosen[asked.question]]
        self._pairs += _histogram(place[counted])
        self._expected += _histogram(place[counted], count[counted].double().exp())
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


def _histogram(place: Tensor, weight: Tensor | None = None) -> np.ndarray:
    return torch.bincount(place, weight, BINS).cpu().numpy()


def _ratio(observed: float, expected: float) -> float:
    return observed / expected if expected else float("nan")
