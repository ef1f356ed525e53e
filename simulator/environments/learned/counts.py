"""Draws of counts from numbers that belong to what they decide."""

from __future__ import annotations

import numpy as np

from dbt_project.sample.draw import normal_quantile

FEW, MOST = 10.0, 40
"""Mean up to which counts are Poisson's, and the largest of these."""


def counts(mean: np.ndarray, u: np.ndarray) -> np.ndarray:
    """(n,) counts around means, whole numbers; never fewer where a mean is larger. Poisson's by
    inversion where few are expected, else rounded normal numbers."""
    small = np.minimum(mean, FEW)
    chance = np.exp(-small)
    reached, few = chance.copy(), np.zeros(mean.size)
    for count in range(1, MOST + 1):
        above = u > reached
        if not above.any():
            break
        few += above
        chance *= small / count
        reached += chance
    many = np.rint(mean + np.sqrt(mean) * normal_quantile(u))
    return np.where(mean > FEW, np.maximum(many, 0), few).astype(np.int64)
