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
        sums, counts = self.sums(values, chosen)
        with np.errstate(invalid="ignore"):  # 0 / 0: nothing to average
            means = sums.sum(0) / counts.sum(0)
        return [
            Estimate(float(mean), *interval(column), int(trips))
            for mean, column, trips in zip(
                means, self.drawn(sums, counts).T, counts.sum(0), strict=True
            )
        ]

    def sums(self, values: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums of values (n, k) over the chosen (n,) bool trips of each customer, and the number
        of trips that are no NaN: (customers, k) float64 both, customers ascending."""
        values, customer = values[chosen], self._customer[chosen]
        defined = ~np.isnan(values)
        sums, counts = (
            np.stack([np.bincount(customer, column, self.customers) for column in part.T], axis=1)
            for part in (np.where(defined, values, 0), defined)
        )
        return sums, counts

    def drawn(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """The means over trips of each draw of customers, (DRAWS, k), from `sums`."""
        with np.errstate(invalid="ignore"):
            return (self._times @ sums) / (self._times @ counts)

    def share(
        self, values: np.ndarray, low: np.ndarray, high: np.ndarray, chosen: np.ndarray
    ) -> Estimate:
        """Where the mean of values lies between those of low (0) and high (1), over chosen trips.

        All are (n,); a NaN in any leaves its trip out. Draws in which low and high have one mean
        have no share.
        """
        parts = np.stack([values - low, high - low], axis=1)
        parts[np.isnan(parts).any(1)] = np.nan
        sums, counts = self.sums(parts, chosen)
        gone, whole = sums.sum(0)
        with np.errstate(divide="ignore"):
            drawn = self.drawn(sums[:, :1], sums[:, 1:])
        share = gone / whole if whole else np.nan
        return Estimate(share, *interval(drawn[np.isfinite(drawn)]), int(counts[:, 0].sum()))


def interval(drawn: np.ndarray) -> tuple[float, float]:
    """The middle `LEVEL` of draws (n,), without those that are NaN; NaN without any other."""
    drawn, edge = drawn[~np.isnan(drawn)], (1 - LEVEL) / 2
    return tuple(np.quantile(drawn, (edge, 1 - edge)).tolist()) if len(drawn) else (np.nan, np.nan)
