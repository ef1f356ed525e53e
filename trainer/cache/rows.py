"""Rows of one table of a cache that belong to rows of another."""

from __future__ import annotations

import numpy as np

from trainer.cache.ragged import ranges
from trainer.cache.reader import TensorCache
from trainer.cache.schema import LEVELS


def items_of(cache: TensorCache, trips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of items of each of the cache's trips (n,), (n,), and their tokens, trip by trip; both
    int64."""
    start = cache["trips.item_offsets"][trips].astype(np.int64)
    lengths = cache["trips.item_offsets"][trips + 1] - start
    return lengths, cache["items.token"][ranges(start, lengths)].astype(np.int64)


def customer_of(cache: TensorCache, trips: np.ndarray) -> np.ndarray:
    """The customer of each of the cache's trips: rows (n,), (n,) int64."""
    return np.searchsorted(cache["customers.trip_offsets"], trips, side="right") - 1


def top_categories(parent: np.ndarray) -> np.ndarray:
    """The topmost category above each category, itself at the top: rows (C,), int64.

    parent (C,): `categories.parent`, the row one level up or -1.
    """
    top, parent = np.arange(len(parent)), parent.astype(np.int64)
    for _ in LEVELS[1:]:
        top = np.where(parent[top] >= 0, parent[top], top)
    return top
