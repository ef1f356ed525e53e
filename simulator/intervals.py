"""How sure a difference is: paired runs with and without a change.

Both runs of a pair draw alike wherever they ask alike, so what their differences spread by is what
chance does to the change itself. The mean of n independent differences has Student's t interval
with n - 1 degrees of freedom. Of one model the n are its runs. Of several models, which have runs
of their own, they are the models' means: the spread of these holds both what models make of the
change and what chance does in their runs, and the interval is exact where both are normal (the mean
of a balanced one-way layout with random effects; H. Scheffé, The Analysis of Variance, 1959,
section 7.2). Two models have one degree of freedom, and intervals six times their standard error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.9
"""Of all intervals."""


@dataclass(frozen=True)
class Difference:
    """What a change does to figures: arrays of one shape. Without a second independent difference
    error, low and high are NaN."""

    without: np.ndarray
    """Mean of the runs without it."""
    change: np.ndarray
    """Mean difference, with minus without."""
    error: np.ndarray
    """Standard error of the mean difference."""
    low: np.ndarray
    high: np.ndarray
    """Ends of its interval."""

    differs: np.ndarray
    """bool: whether any run differs at all."""

    @property
    def stands_out(self) -> np.ndarray:
        """bool: whether 0 is outside the interval."""
        return (self.low > 0) | (self.high < 0)


def paired(runs: np.ndarray) -> Difference:
    """runs (models, runs, 2, ...): figures of each pair, without the change and with it."""
    difference = runs[:, :, 1] - runs[:, :, 0]
    low, high, error = mean_interval(difference)
    return Difference(
        runs[:, :, 0].mean((0, 1)), difference.mean((0, 1)), error=error, low=low, high=high,
        differs=(difference != 0).any((0, 1)),
    )  # fmt: skip


def mean_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ends of the interval of the mean of values (models, runs, ...), and its standard error."""
    independent = values[0] if len(values) == 1 else values.mean(1)
    mean, n = independent.mean(0), len(independent)
    if n == 1:
        return (np.full(mean.shape, np.nan),) * 3
    error = independent.std(0, ddof=1) / np.sqrt(n)
    reach = stats.t.ppf((1 + LEVEL) / 2, n - 1) * error
    return mean - reach, mean + reach, error


def share(part: np.ndarray, whole: np.ndarray) -> tuple[float, float, float]:
    """The mean of part over that of whole, (models, runs) each, and the ends of its interval.

    The interval is that of the mean of what is left of each pair, (part - share x whole) / mean of
    whole (ratio estimators: W. Cochran, Sampling Techniques, 1977, section 6.4): right where the
    mean of whole is far from 0, measured by its own error.
    """
    ratio = part.mean() / whole.mean()
    low, high, _ = mean_interval((part - ratio * whole) / whole.mean())
    return float(ratio), float(ratio + low), float(ratio + high)
