"""Random numbers that belong to what they decide.

A number is a hash of the seed and of keys that say what it is drawn for: this household's trip in
that week, this item of the trip. So it depends neither on the order of draws nor on which other
households there are, and two worlds that share a seed draw alike wherever they ask alike (common
random numbers). The hash is SplitMix64's finaliser (Steele, Lea and Flood, Fast splittable
pseudorandom number generators, 2014), as in simulator/draws.py; here a hash of some keys is kept
and more keys are added to it, because a trip has many draws.
"""

from __future__ import annotations

import numpy as np

from .draw import normal_quantile

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def _mixed(state: np.ndarray) -> np.ndarray:
    """The finaliser, in place."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state ^= state >> np.uint64(shift)
        state *= np.uint64(factor)
    state ^= state >> np.uint64(31)
    return state


# Hashes of the small numbers that serve as keys: purposes, places in a basket.
_SALT = _mixed(np.arange(1, 4097, dtype=np.uint64) * np.uint64(_GOLDEN))


def root(*keys: int) -> np.ndarray:
    """The hash of whole numbers, shape (1,)."""
    state = np.zeros(1, np.uint64)
    for key in keys:
        state = _mixed(state ^ np.uint64((key + _GOLDEN) & _MASK))
    return state


def child(state: np.ndarray, key: int | np.ndarray) -> np.ndarray:
    """Hashes with one key more; keys below 4096 broadcast with `state`."""
    return _mixed(state ^ _SALT[key])


def children(state: np.ndarray, count: int) -> np.ndarray:
    """Hashes of `state` (1,) with each key of 0..count-1, which may be large."""
    keys = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    return _mixed(state ^ _mixed(keys))


def uniform(state: np.ndarray, purpose: int) -> np.ndarray:
    """Numbers in (0, 1), one for each hash."""
    return ((child(state, purpose) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def two_uniforms(state: np.ndarray, purpose: int) -> tuple[np.ndarray, np.ndarray]:
    """Two independent numbers in (0, 1) for each hash, of 32 bits each."""
    halves = child(state, purpose).view(np.uint32)
    # Which half is which depends on the machine's byte order; the files are little-endian's.
    return ((halves[0::2] + 0.5) * 2.0**-32), ((halves[1::2] + 0.5) * 2.0**-32)


def normal(state: np.ndarray, purpose: int) -> np.ndarray:
    """Standard normal numbers, one for each hash."""
    return normal_quantile(uniform(state, purpose))


def poisson(mean: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Counts by inverting the distribution function: never fewer where the mean is larger."""
    count = np.zeros(mean.size, dtype=np.int64)
    p = np.exp(-mean)
    reached = p.copy()
    left = np.flatnonzero(u > reached)
    while left.size and count.max() < 60:
        count[left] += 1
        p[left] *= mean[left] / count[left]
        reached[left] += p[left]
        left = left[u[left] > reached[left]]
    return count
