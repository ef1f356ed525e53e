"""Till receipts of a run, in rows of a tensor cache."""

from __future__ import annotations

from dataclasses import dataclass, field

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
    """(lines,) for all units at shelf prices, whole pence; coupons not taken off."""
    coupon_line: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """(coupons used,) lines on which one was, each once."""
    coupon: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """(coupons used,) which of the scenario's, from 1."""
    coupon_pence: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """(coupons used,) what it took off, whole pence."""
