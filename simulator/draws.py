"""Random numbers that belong to what they decide.

A number is a hash of a seed and of keys that say what it is drawn for: this customer's visit on
that day, this product in that basket. So it does not depend on the order of draws, on the number of
processes or on what else is drawn, and two scenarios that share a seed draw alike wherever they
ask alike (common random numbers).

The hash is SplitMix64's finaliser, applied to the keys one after the other (Steele, Lea and Flood,
Fast splittable pseudorandom number generators, 2014).
"""

from __future__ import annotations

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15
MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
TO_UNIT = 2.0**-53


def uniforms(*keys: int | np.ndarray) -> np.ndarray:
    """Numbers in (0, 1), one for each combination of keys, which broadcast: float64."""
    state = np.zeros(1, np.uint64)
    for key in keys:
        key = np.atleast_1d(np.asarray(key)).astype(np.uint64)  # arrays overflow without a warning
        state = _mixed(state ^ _mixed(key + np.uint64(GOLDEN)))
    return ((state >> np.uint64(11)).astype(np.float64) + 0.5) * TO_UNIT


def gumbels(*keys: int | np.ndarray) -> np.ndarray:
    """As `uniforms`, from the standard Gumbel distribution: the largest of log-probabilities with
    one of them added to each is a draw (Gumbel, Statistical theory of extreme values, 1954)."""
    return -np.log(-np.log(uniforms(*keys)))


def chosen(p: np.ndarray, u: np.ndarray) -> np.ndarray:
    """(n,) a column for each row of probabilities or weights p (n, columns), by uniforms u (n,)."""
    cumulative = p.cumsum(1)
    return (cumulative < u[:, None] * cumulative[:, -1:]).sum(1).clip(max=p.shape[1] - 1)


def _mixed(state: np.ndarray) -> np.ndarray:
    for shift, factor in MIXERS:
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return state ^ (state >> np.uint64(31))
