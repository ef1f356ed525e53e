"""Customers who are kept out of training altogether, to see what the model knows of strangers."""

from __future__ import annotations

import hashlib

import numpy as np

from trainer.cache.reader import TensorCache

HELD_OUT_PERCENT = 10


def held_out(cache: TensorCache) -> np.ndarray:
    """Whether each customer is kept out, (customers,) bool: one in ten, by a hash of the code.

    It depends on the code alone: whoever joins changes nothing for the others, and a customer is
    kept out of every training.
    """
    hashes = [code_hash(code, b"held out") for code in cache["customers.code"].tolist()]
    return np.array([h % 100 < HELD_OUT_PERCENT for h in hashes], dtype=bool)


def training_trips(cache: TensorCache, customers: np.ndarray | None = None) -> np.ndarray:
    """Rows of the trips that training, constants and lifts may be made from, ascending.

    customers (customers,) bool: whose trips; if left out, of all who are not kept out.
    """
    customers = ~held_out(cache) if customers is None else customers
    trips = np.diff(cache["customers.trip_offsets"].astype(np.int64))
    in_training = cache["trips.week"] <= cache.split["train"][1]
    return np.flatnonzero(in_training & np.repeat(customers, trips))


def code_hash(code: bytes, purpose: bytes) -> int:
    """64 bits of a code; each purpose (at most 16 bytes) chooses independently of the others."""
    return int.from_bytes(hashlib.blake2b(code, digest_size=8, person=purpose).digest())
