"""Till receipts of a run, in rows of a tensor cache."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Receipts:
    """Finished trips, ordered by week and within it by customer, and their lines."""

    customer: np.ndarray
    """(trips,) rows of the cache's customers; -1 for an anonymous trip, -2 and less for customers
    who are new since the start, one number each."""
    week: np.ndarray
    """(trips,) week numbers of the cache."""
    day: np.ndarray
    """(trips,) days since 1970-01-01."""
    hour: np.ndarray
    """(trips,)"""
    store: np.ndarray
    """(trips,) rows of the cache's stores; UNKNOWN_STORE for one that it does not have."""
    kind: np.ndarray
    """(trips, 4) codes of CONTEXT's labels."""
    items: np.ndarray
    """(trips,) lines of each."""
    token: np.ndarray
    """(lines,) ascending within a trip; no product twice."""
    quantity: np.ndarray
    """(lines,) units."""
    pence: np.ndarray
    """(lines,) paid for all units, whole pence."""
