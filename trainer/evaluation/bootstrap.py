"""Confidence intervals of means over trips, by resampling customers.

Trips of one customer are correlated, so customers are drawn, not trips (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, percentile intervals).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DRAWS = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over trips with its interval."""

    value: float
    low: float
    high: float
    trips: int
    """Trips that the metric is defined for; without any, the rest is NaN."""


class CustomerBootstrap:
    """The same draws of customers for whatever is estimated, so that differences are paired.

    Args:
        customer: (n,) the customer of each trip.
        seed: of the draws.
    """

    def __init__(self, customer: np.ndarray, seed: int) -> None:
        customers, self._customer = np.unique(customer, return_inverse=True)
        self.customers = len(customers)
        drawn = np.random.default_rng(seed).integers(self.customers, size=(DRAWS, self.customers))
        cell = drawn + np.arange(DRAWS)[:, None] * self.customers
        times = np.bincount(cell.ravel(), minlength=DRAWS * self.customers)
        self._times = times.reshape(DRAWS, self.customers).astype(np.float64)

    def estimate(self, values: np.ndarray, chosen: np.ndarray) -> list[Estimate]:
        """One estimate per column of values (n, k), over the chosen (n,) bool trips.

        A NaN leaves its trip out of its column.
        """
        values, customer = values[chosen], self._customer[chosen]
        defined = ~np.isnan(values)
        sums, counts = (
            self._per_customer(part, customer) for part in (np.where(defined, values, 0), defined)
        )
        with np.errstate(invalid="ignore"):  # 0 / 0: nothing to average
            means = sums.sum(0) / counts.sum(0)
            drawn = (self._times @ sums) / (self._times @ counts)
        edge = (1 - LEVEL) / 2
        return [
            Estimate(float(mean), *_quantiles(column, (edge, 1 - edge)), int(trips))
            for mean, column, trips in zip(means, drawn.T, defined.sum(0), strict=True)
        ]

    def _per_customer(self, values: np.ndarray, customer: np.ndarray) -> np.ndarray:
        """(customers, k) sums of values (trips, k)."""
        columns = [np.bincount(customer, column, self.customers) for column in values.T]
        return np.stack(columns, axis=1)


def _quantiles(drawn: np.ndarray, at: tuple[float, float]) -> tuple[float, float]:
    drawn = drawn[~np.isnan(drawn)]
    return tuple(np.quantile(drawn, at).tolist()) if len(drawn) else (np.nan, np.nan)
