"""How often each customer comes: forecasts of counts, and how right they were.

Shape letters: P customers with a history, H judged weeks, R runs, K counts from 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from simulator.fidelity.distances import crps_of_chances, crps_of_runs

HALF = 0.5
"""Trips that a customer without any in these weeks counts as: nobody is gone for sure."""
SHAPES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
WEIGHTS = (1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 1000.0)
"""Tried for the distribution behind runs: of the negative binomial, and its weight in runs."""


@dataclass(frozen=True)
class VisitScores:
    """What a forecast of each customer's number of trips was worth."""

    crps: np.ndarray
    """(P,) of the number of trips in all judged weeks; lower is better."""
    likelihood: np.ndarray | None
    """(P,) log-likelihood of that number, in nats; None for a forecast without doubt."""
    by_week: np.ndarray
    """(H,) CRPS of the number of trips in each week, the mean over customers."""


def of_runs(real: np.ndarray, runs: np.ndarray) -> VisitScores:
    """Of simulated trips (R, P, H), for real ones (P, H)."""
    total = runs.sum(2)
    return VisitScores(
        crps=crps_of_runs(total, real.sum(1)),
        likelihood=log_chances(total, real.sum(1)) if len(runs) > 1 else None,
        by_week=np.array(
            [crps_of_runs(runs[:, :, h], real[:, h]).mean() for h in range(real.shape[1])]
        ),
    )


def of_mean(real: np.ndarray, mean: np.ndarray, shape: float | None = None) -> VisitScores:
    """Of Poisson, or with a shape of negative binomial counts of a mean (P,) over all weeks, which
    are the same in each; real (P, H)."""
    weeks = real.shape[1]
    total = count_chances(mean, int(real.sum(1).max()), shape)
    week = count_chances(mean / weeks, int(real.max()), shape)
    return VisitScores(
        crps=crps_of_chances(total, real.sum(1)),
        likelihood=log_chance(real.sum(1), mean, shape),
        by_week=np.array([crps_of_chances(week, column).mean() for column in real.T]),
    )


def count_chances(mean: np.ndarray, most: int, shape: float | None = None) -> np.ndarray:
    """(P, K) chances of 0, 1, ... and, as the last one, of all larger counts.

    As `log_chance`, of means (P,). most: a count that needs a chance of its own.
    """
    deviation = np.sqrt(mean + (mean**2 / shape if shape else 0))
    count = np.arange(max(most, int((mean + 12 * deviation).max())) + 1)
    chances = np.exp(log_chance(count, mean[:, None], shape))
    rest = np.maximum(1 - chances.sum(1, keepdims=True), 0)
    return np.concatenate([chances, rest], axis=1)


def log_chance(count: np.ndarray, mean: np.ndarray, shape: float | None = None) -> np.ndarray:
    """Logarithm of the chance of counts, of a Poisson distribution or, with a shape, of a negative
    binomial one with variance mean + mean^2 / shape."""
    chance = count * np.log(mean) - _lgamma(count + 1)
    if shape is None:
        return chance - mean
    odds = np.log(shape + mean)
    return (
        chance
        + _lgamma(shape + count)
        - _lgamma(shape)
        - count * odds
        + shape * (np.log(shape) - odds)
    )


def log_chances(runs: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(P,) log-likelihood of counts (P,), under the distribution that runs (R, P) were drawn from.

    Twenty runs do not show every count that is possible. Each customer's runs are mixed with a
    negative binomial of their mean, with half a trip added, and of one shape for all. Shape and
    weight are those that make each run most likely given the other runs; nothing real enters.
    """
    others, total = len(runs) - 1, runs.sum(0)
    alike = np.stack([(runs == each).sum(0) - 1 for each in runs])  # of the other runs
    best, highest = (1.0, 1.0), -np.inf
    for shape in SHAPES:
        smooth = np.exp(log_chance(runs, (total - runs + HALF) / (others + HALF), shape))
        for weight in WEIGHTS:
            found = np.log((weight * smooth + alike) / (weight + others)).mean()
            if found > highest:
                best, highest = (shape, weight), found
    shape, weight = best
    smooth = np.exp(log_chance(real, (total + HALF) / (len(runs) + HALF), shape))
    return np.log((weight * smooth + (runs == real).sum(0)) / (weight + len(runs)))


def _lgamma(values: np.ndarray | float) -> np.ndarray:
    return torch.lgamma(torch.as_tensor(values, dtype=torch.float64)).numpy()
