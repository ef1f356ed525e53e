"""Numbers of the cache on a common scale, with constants from training rows only."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from trainer.cache.reader import TensorCache
from trainer.features.columns import Number, side_by_side

MAX_DEVIATION = 5.0
"""Standardised values are clamped to -5..5: an outlier, or years of later history, must not take
the network far outside the range of its training."""


class Standardiser(nn.Module):
    """(x - mean) / std per column, of log(1 + x) where a column says so, clamped to -5..5.

    A column that was constant in training (std 0) gives 0. The constants are buffers, so a
    checkpoint carries them.

    Args:
        mean, std: (F,) float32, of the transformed column.
        log1p: (F,) bool.
    """

    def __init__(self, mean: Tensor, std: Tensor, log1p: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.register_buffer("log1p", log1p)

    @classmethod
    def fit(cls, cache: TensorCache, columns: tuple[Number, ...], rows: np.ndarray) -> Standardiser:
        """From mean and population standard deviation over `rows` (indices), in float64.

        Without rows every column gives 0. Each column of a two-dimensional one is separate.
        """
        return cls.of_moments(logged(cache, columns), moments(cache, columns, rows)[None])

    @classmethod
    def of_moments(cls, log1p: np.ndarray, parts: np.ndarray) -> Standardiser:
        """The same from log1p (F,) bool of `logged` and the `moments` of parts of the rows,
        (parts, 5, F).

        Source: Chan, Golub and LeVeque, Algorithms for Computing the Sample Variance: Analysis and
        Recommendations, The American Statistician, 1983.
        """
        count, means, variances, lowest, highest = parts.swapaxes(0, 1)
        share = count / count.sum(0).clip(min=1)
        mean = (share * means).sum(0)
        std = np.sqrt((share * (variances + (means - mean) ** 2)).sum(0))
        # Constants are found by comparison: their computed std need not be exactly 0.
        lowest = np.where(count > 0, lowest, np.inf).min(0)
        varies = np.where(count > 0, highest, -np.inf).max(0) > lowest
        return cls(
            torch.tensor(mean, dtype=torch.float32),
            torch.tensor(np.where(varies, std, 0), dtype=torch.float32),
            torch.tensor(log1p),
        )

    @property
    def columns(self) -> int:
        """F; a two-dimensional column counts by its width."""
        return len(self.mean)

    def forward(self, raw: Tensor) -> Tensor:
        """raw (..., F), finite, >= 0 where log1p, to (..., F). Raises ValueError for another F."""
        if raw.shape[-1:] != self.mean.shape:
            raise ValueError(f"raw: expected (..., {self.columns}), not {tuple(raw.shape)}")
        values = torch.where(self.log1p, raw.clamp_min(0).log1p(), raw)
        scaled = (values - self.mean) / self.std.where(self.std > 0, 1)
        return scaled.clamp(-MAX_DEVIATION, MAX_DEVIATION).masked_fill(self.std == 0, 0)


def logged(cache: TensorCache, columns: tuple[Number, ...]) -> np.ndarray:
    """Whether the logarithm of each column counts, (F,) bool; a two-dimensional one counts by its
    width."""
    widths = [side_by_side(cache[number.column][:0]).shape[1] for number in columns]
    return np.repeat([number.log1p for number in columns], widths)


def moments(cache: TensorCache, columns: tuple[Number, ...], rows: np.ndarray) -> np.ndarray:
    """Of each column over rows (indices): how many they are, mean, variance, lowest and highest
    value, (5, F) float64, of log(1 + x) where that counts; all 0 without rows."""
    parts = []
    for number in columns:
        values = side_by_side(cache[number.column][rows]).astype(np.float64)
        if number.log1p:
            values = np.log1p(values)
        if not len(rows):
            parts.append(np.zeros((5, values.shape[1])))
            continue
        count = np.full(values.shape[1], len(rows))
        parts.append([count, values.mean(0), values.var(0), values.min(0), values.max(0)])
    return np.concatenate(parts, axis=1)
