"""Numbers of the cache at a common scale, with constants from training rows only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trainer.data.cache import TensorCache
from trainer.data.heldout import held_out

LARGEST = 5.0
"""Standardised values are clamped to -5..5 deviations: one odd trip, or years of later history,
must not reach far outside what training has seen."""


@dataclass(frozen=True)
class Number:
    """A numeric column of the cache as an input: one value per row, or one per second index."""

    column: str
    """`<table>.<column>`."""
    log1p: bool = False
    """Whether its logarithm counts: for counts, days and pence, which are skewed."""


class Standardiser(nn.Module):
    """(x - mean) / std per column, of log(1 + x) where a column says so, within -5..5.

    A column whose std is 0 gives 0: it said nothing in training. The constants are buffers, so a
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
        """Mean and population deviation of `rows` (indices) of columns, in float64.

        Without rows every column gives 0. Two-dimensional columns count one by one.
        """
        mean, std, log1p = [], [], []
        for number in columns:
            values = _side_by_side(cache[number.column][rows]).astype(np.float64)
            width = values.shape[1]
            if number.log1p:
                values = np.log1p(values)
            # A constant is found by comparing: its computed std need not be exactly 0.
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
        """F, with two-dimensional columns counted one by one."""
        return len(self.mean)

    def forward(self, raw: Tensor) -> Tensor:
        """raw (..., F), finite, >= 0 where log1p, to (..., F). Raises ValueError for another F."""
        if raw.shape[-1:] != self.mean.shape:
            raise ValueError(f"raw: expected (..., {self.columns}), not {tuple(raw.shape)}")
        values = torch.where(self.log1p, raw.clamp_min(0).log1p(), raw)
        scaled = (values - self.mean) / self.std.where(self.std > 0, 1)
        return scaled.clamp(-LARGEST, LARGEST).masked_fill(self.std == 0, 0)


def read_numbers(
    cache: TensorCache, columns: tuple[Number, ...], rows: np.ndarray | slice
) -> np.ndarray:
    """The raw input of a `Standardiser` of the same columns: (rows, F) float32.

    rows: indices or a slice. Two-dimensional columns are laid side by side, in their place.
    """
    values = [_side_by_side(cache[number.column][rows]) for number in columns]
    return np.concatenate(values, axis=1, dtype=np.float32)


def training_customer_weeks(cache: TensorCache) -> np.ndarray:
    """Rows of customer_weeks that constants are made from: training weeks, after a first trip.

    Customers who are kept out of training are left out.
    """
    in_training = cache["customer_weeks.week"] <= cache.split["train"][1]
    after_first = cache["customer_weeks.trips"] > 0
    stranger = held_out(cache)[cache["customer_weeks.customer"]]
    return np.flatnonzero(in_training & after_first & ~stranger)


def known_rows(cache: TensorCache, table: str) -> np.ndarray:
    """Rows of products or stores that training weeks have seen."""
    return np.flatnonzero(~cache[f"{table}.is_novel"])


def _side_by_side(values: np.ndarray) -> np.ndarray:
    """(rows,) or (rows, width) to two dimensions."""
    return values[:, None] if values.ndim == 1 else values
