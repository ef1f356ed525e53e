"""A fixed sample of customers, for measurements that must be quick."""

from __future__ import annotations

import numpy as np

from trainer.cache.held_out import code_hash
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError


def sample_customers(cache: TensorCache, customers: np.ndarray, count: int) -> np.ndarray:
    """A sample of `count` of the given customers, or all if there are fewer: rows, ascending.

    customers (n,) rows of the cache's customers. Those whose codes have the smallest hashes are
    chosen, so that a new customer replaces at most one of the sample. Raises ValueError for a
    count below 1.
    """
    if count < 1:
        raise InputError(f"customers: expected at least 1, not {count}")
    hashes = sample_hashes(cache["customers.code"][customers])
    return np.sort(customers[np.argsort(hashes)[:count]])


def sample_hashes(codes: np.ndarray) -> np.ndarray:
    """By which customers are sampled, smallest first: (n,) uint64 of codes (n,)."""
    return np.array([code_hash(code, b"evaluation") for code in codes.tolist()], dtype=np.uint64)
