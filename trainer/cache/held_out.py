"""Customers held out of training, to measure predictions for customers the model has not seen."""

from __future__ import annotations

import hashlib

import numpy as np

from trainer.cache.reader import TensorCache

HELD_OUT_PERCENT = 10


def held_out(cache: TensorCache) -> np.ndarray:
    """Whether each customer is held out, (customers,) bool: one in ten, by a hash of the code.

    It depends on the code alone: new customers do not change who is held out, and every training
    run holds out the same customers.
    """
    hashes = [code_hash(code, b"held out") for code in cache["customers.code"].tolist()]
    return np.array([h % 100 < HELD_OUT_PERCENT for h in hashes], dtype=bool)


def training_trips(cache: TensorCache, customers: np.ndarray | None = None) -> np.ndarray:
    """Rows of the trips that training, constants and lifts may read, ascending.

    customers (customers,) bool: whose trips; by default those of all who are not held out.
    """
    customers = ~held_out(cache) if customers is None else customers
    trips = np.diff(cache["customers.trip_offsets"].astype(np.int64))
    in_training = cache["trips.week"] <= cache.split["train"][1]
    return np.flatnonzero(in_training & np.repeat(customers, trips))


def code_hash(code: bytes, purpose: bytes) -> int:
    """64-bit hash of a code; different purposes (at most 16 bytes) give independent hashes."""
    return int.from_bytes(hashlib.blake2b(code, digest_size=8, person=purpose).digest())
