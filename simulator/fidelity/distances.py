"""Distances between what came and what was simulated, in numpy alone."""

from __future__ import annotations

import numpy as np

BAND = 0.9
"""Share of what comes that a band over runs should hold."""
FEWEST_RUNS = 19
"""Runs from which on a band of `BAND` has ends: one run in twenty lies beyond each."""


def ks(real: np.ndarray, simulated: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance of two samples (n,), (m,): the largest difference between their
    distribution functions; NaN where one is empty."""
    if not len(real) or not len(simulated):
        return np.nan
    values = np.concatenate([real, simulated])
    below = (
        np.searchsorted(np.sort(sample), values, side="right") / len(sample)
        for sample in (real, simulated)
    )
    return float(np.abs(np.subtract(*below)).max())


def auc(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive one (n,) bool has the higher score, ties
    by half; NaN where all are alike."""
    count = positive.sum()
    if not 0 < count < len(positive):
        return np.nan
    above = ranks(score)[positive].sum() - count * (count + 1) / 2
    return float(above / (count * (len(positive) - count)))


def spearman(real: np.ndarray, simulated: np.ndarray) -> float:
    """Rank correlation of pairs of values (n,), equal values sharing their mean rank; NaN where all
    of a side are equal."""
    first, second = (each - each.mean() for each in (ranks(real), ranks(simulated)))
    scale = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / scale) if scale else np.nan


def ranks(values: np.ndarray) -> np.ndarray:
    """(n,) ranks from 1; equal values share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (count.cumsum() - (count - 1) / 2)[place]


def wmape(real: np.ndarray, forecast: np.ndarray) -> float:
    """Sum of absolute errors over the sum of what came; NaN where nothing came."""
    total = real.sum()
    return float(np.abs(real - forecast).sum() / total) if total else np.nan


def coverage(real: np.ndarray, runs: np.ndarray) -> float:
    """Share of cells whose real value lies in the middle `BAND` of the runs.

    real (cells,), runs (R, cells). Where the real value is drawn like the runs, its place among
    them is any of R + 1 with equal chance: the share is then `BAND`, for any R. Runs that equal the
    real value leave several places open, of which each counts for its part. NaN for fewer than
    `FEWEST_RUNS` runs, where hardly any place lies outside.
    """
    if len(runs) < FEWEST_RUNS or not len(real):
        return np.nan
    low = (runs < real).sum(0) / (len(runs) + 1)
    high = ((runs <= real).sum(0) + 1) / (len(runs) + 1)
    outside = (1 - BAND) / 2
    held = np.minimum(high, 1 - outside) - np.maximum(low, outside)
    return float((np.maximum(held, 0) / (high - low)).mean())


def crps_of_chances(chances: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of forecasts of counts, (n,): the sum over k of
    (P(count <= k) - [real <= k])^2 (Gneiting and Raftery, Strictly proper scoring rules, 2007).

    chances (n, K): of the counts 0..K-1, which add up to 1; real (n,) below K.
    """
    reached = np.arange(chances.shape[1]) >= real[:, None]
    return ((chances.cumsum(1) - reached) ** 2).sum(1)


def crps_of_runs(runs: np.ndarray, real: np.ndarray) -> np.ndarray:
    """The same, from draws of the forecast: runs (R, n), real (n,).

    The mean distance from real less half the mean distance between two different draws, which
    estimates the score of the distribution without bias (Ferro, Fair scores for ensemble forecasts,
    2014). A single run is a forecast without doubt: its distance.
    """
    distance = np.abs(runs - real).mean(0)
    count = len(runs)
    if count == 1:
        return distance
    weight = 2 * np.arange(1, count + 1) - count - 1
    spread = (weight[:, None] * np.sort(runs, 0)).sum(0)  # of all pairs, each once
    return distance - spread / (count * (count - 1))
