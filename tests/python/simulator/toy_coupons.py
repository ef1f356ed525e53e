"""The toy world after a trial: coupons of a tenth on two products."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from toy_knowledge import knowledge

from simulator.environments.learned.coupon_response import SEGMENTS
from simulator.environments.learned.knowledge import Knowledge

MENU = np.array([0, 6])


def knows_coupons(customers: int = 200, lift: float = 0.3, taken: float = 0.25) -> Knowledge:
    """lift: units that a coupon adds, of those that a card buys of its need; taken: share of them
    that other products lose."""
    return replace(
        knowledge(customers=customers), coupon=MENU, coupon_depth=np.array([0.1]),
        coupon_lift=np.full(SEGMENTS, lift), coupon_taken=np.full(2, taken),
    )  # fmt: skip
