"""What is counted over all customers, where a process holds those of one shard alone.

A figure of one shard is never taken for the cache's: it is there once the figures of all shards
have been added up, or it is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps

import numpy as np

from trainer.cache.reader import TensorCache

Count = Callable[[TensorCache], np.ndarray]
"""Figures of a cache's customers that add up over customers."""


def over_customers(count: Count) -> Count:
    """Makes a count one of all customers, also where the cache is a shard: `add_up` has it then."""

    @wraps(count)
    def over_all(cache: TensorCache) -> np.ndarray:
        if cache.shard is None:
            return count(cache)
        if count.__name__ not in cache.totals:
            raise ValueError(f"{count.__name__} of shard {cache.shard} alone: add up all shards")
        return cache.totals[count.__name__]

    return over_all


def add_up(
    cache: TensorCache, counts: Iterable[Count], total: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Give a shard the counts of all customers: `over_customers` has wrapped each of them.

    total: the sum over all shards of what each process calls it with, in the same order.
    """
    for count in counts:
        own = count.__wrapped__(cache)
        cache.totals[count.__name__] = total(own).astype(own.dtype)
