"""Ragged arrays stored as offsets, and the vectorised operations on them."""

from __future__ import annotations

import numpy as np


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Concatenated ranges: starts[0], starts[0] + 1, ..., then those of starts[1], and so on.

    starts, lengths (n,) integers, lengths >= 0. Returns (sum of lengths,) int64.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    before = lengths.cumsum() - lengths
    shift = np.asarray(starts, dtype=np.int64) - before
    return np.repeat(shift, lengths) + np.arange(lengths.sum())


def distinct(values: np.ndarray) -> np.ndarray:
    """The distinct values of values (n,), integers from 0, ascending.

    np.unique does the same by hashing, several times slower where few values are equal.
    """
    values = np.sort(values)
    return values[np.diff(values, prepend=-1) > 0]


def offsets(lengths: np.ndarray) -> np.ndarray:
    """(n + 1,) int64 from lengths (n,): part i is offsets[i]..offsets[i + 1]."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
