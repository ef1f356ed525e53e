"""Vectorised draws from many discrete distributions at once."""

from __future__ import annotations

import math

import numpy as np


def stream(seed: int, domain: str, number: int = 0) -> np.random.Generator:
    """An independent random stream for a purpose, and a week where there is one."""
    words = [seed & 0xFFFFFFFF, seed >> 32, *domain.encode(), number]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


def cumulate(weight: np.ndarray) -> np.ndarray:
    """Running total over a flattened table of weights, with a leading zero: shape (size + 1,)."""
    total = np.empty(weight.size + 1)
    total[0] = 0.0
    np.cumsum(weight.ravel(), out=total[1:])
    return total


def pick(total: np.ndarray, start: np.ndarray, stop: np.ndarray, u: np.ndarray) -> np.ndarray:
    """One position in [start, stop) per element, with probability proportional to its weight.

    `total` comes from `cumulate`; all other arrays have one element per draw, `u` is uniform on
    [0, 1). Where a range weighs nothing the answer is -1.
    """
    low = total[start]
    span = total[stop] - low
    at = np.searchsorted(total, low + u * span, side="right") - 1
    at = np.clip(at, start, stop - 1)
    return np.where(span > 0, at, -1)


def within(counts: np.ndarray) -> np.ndarray:
    """0, 1, ..., n-1 for each n of `counts`, one after another."""
    first = np.cumsum(counts) - counts
    return np.arange(int(counts.sum())) - np.repeat(first, counts)


def starts(values: np.ndarray) -> np.ndarray:
    """Whether each value differs from the one before it; the first does."""
    return np.r_[True, values[1:] != values[:-1]][: values.size]


def interpolate(points: tuple[tuple[float, float], ...], at: np.ndarray, log: bool = False):
    """Piecewise linear (or log-linear in y) curve through `points` evaluated at `at`."""
    x, y = np.array(points).T
    return np.exp(np.interp(at, x, np.log(y))) if log else np.interp(at, x, y)


_GRID = np.linspace(-6.0, 6.0, 4801)
_PHI = np.array([0.5 * (1 + math.erf(z / math.sqrt(2))) for z in _GRID])


def normal_quantile(p: np.ndarray) -> np.ndarray:
    """Standard normal quantile, good to four decimals within +-6."""
    return np.interp(p, _PHI, _GRID)


def normal_cdf(z: np.ndarray) -> np.ndarray:
    """Standard normal distribution function, as `normal_quantile` has it."""
    return np.interp(z, _GRID, _PHI)
