"""What one model is ahead of another, each trained with several seeds: a mean with its interval.
In the other's place may be a baseline, the same for every seed.

Two things make such a difference uncertain, and the interval holds both:

- **Which customers are measured.** Customers are drawn again (`CustomerBootstrap`), the same ones
  for both models and all seeds: differences are paired by trip, and the seeds' are averaged first.
- **How training happened to go.** Seeds are too few to be drawn again: of three, a third of the
  draws' variance would be missing, and three values hardly have tails. The mean of k seeds'
  differences is taken to vary about the true one as s / sqrt(k) times Student's t with k - 1
  degrees of freedom, s their standard deviation (Student, The probable error of a mean, 1908).

Both are added up, as if independent: each draw of customers, plus a draw of t. The s of seeds
includes what differs from customer to customer with the seed, and so do the draws of customers:
that part counts twice, which makes the interval a little too wide (Owen, The pigeonhole bootstrap,
2007). With one seed the second part is unknown, and the interval speaks of that seed only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.commands.errors import InputError
from trainer.evaluation.bootstrap import CustomerBootstrap, Estimate, interval

REPEATED = 100
"""Draws of t beside each draw of customers: its tails are long."""


@dataclass(frozen=True)
class TripSums:
    """A metric of one scorer, added up over the trips of each customer, in columns: by task, or by
    group of trips."""

    sums: np.ndarray
    """(customers, columns) float64."""
    trips: np.ndarray
    """(customers, columns) float64: how many trips the metric is defined for."""

    def means(self) -> np.ndarray:
        """The mean over trips of each column, and the mean of these: (columns + 1,)."""
        return _with_mean(self.sums.sum(0) / self.trips.sum(0))


def worth(ahead: Sequence[TripSums], behind: Sequence[TripSums], seed: int = 0) -> list[Estimate]:
    """By how much models are ahead of others: one estimate per column, and one of their mean.

    ahead, behind: one each per training seed, in the same order, measured on the same trips. seed:
    of the draws. Raises ValueError where numbers of seeds or trips differ.
    """
    pairs = list(zip(ahead, behind, strict=True))
    trips = ahead[0].trips
    if not all(np.array_equal(each.trips, trips) for pair in pairs for each in pair):
        raise InputError("worth: measured on different trips")
    differences = [one.sums - other.sums for one, other in pairs]
    of_seeds = np.stack([TripSums(each, trips).means() for each in differences])
    bootstrap = CustomerBootstrap(np.arange(len(trips)), seed)
    drawn = _with_mean(bootstrap.drawn(np.mean(differences, axis=0), trips))
    drawn = np.tile(drawn, (REPEATED, 1))
    if (seeds := len(pairs)) > 1:
        t = np.random.default_rng(seed).standard_t(seeds - 1, size=(len(drawn), 1))
        drawn = drawn + t * of_seeds.std(0, ddof=1) / seeds**0.5
    counts = [*trips.sum(0), trips.sum()]
    return [
        Estimate(float(value), *interval(column), int(count))
        for value, column, count in zip(of_seeds.mean(0), drawn.T, counts, strict=True)
    ]


def _with_mean(values: np.ndarray) -> np.ndarray:
    """(..., columns) and their mean, (..., columns + 1)."""
    return np.concatenate([values, values.mean(-1, keepdims=True)], axis=-1)
