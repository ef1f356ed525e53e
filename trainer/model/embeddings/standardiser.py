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
        mean, std, log1p = [], [], []
        for number in columns:
            values = side_by_side(cache[number.column][rows]).astype(np.float64)
            width = values.shape[1]
            if number.log1p:
                values = np.log1p(values)
            # Constants are found by comparison: their computed std need not be exactly 0.
            varies = (values != values[:1]).any(0)
            mean.append(values.mean(0) if len(rows) else np.zeros(width))
            std.append(np.where(varies, values.std(0), 0) if len(rows) else np.zeros(width))
            log1p.append(np.full(width, number.log1p))
        return cls(
            torch.tensor(np.concatenate(mean), dtype=torch.float32),
            torch.tensor(np.concatenate(std), dtype=torch.float32),
            torch.tensor(np.concatenate(log1p)),
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
