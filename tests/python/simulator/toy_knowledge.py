"""A learned world of a few products and customers, by hand: what tests of policies live in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dbt_project.sample.shape import GROUPS
from simulator.environments.learned.knowledge import Knowledge


def knowledge(products: int = 2 * len(GROUPS), customers: int = 40, weeks: int = 8) -> Knowledge:
    """Products of every category with costs of 70 %, customers who like them all alike, no seasons,
    no noise; two products a need; suppliers pay nearly all of a promotion of every third need."""
    rng = np.random.default_rng(3)
    listed = rng.integers(60, 400, products).astype(float)
    of_weeks = np.ones((1, weeks))
    code = [list(f"P{i:03}".encode()) for i in range(products)]
    funding = np.where(np.arange(products) // 2 % 3 == 0, 0.9, 0.0)[:, None] * of_weeks
    return Knowledge(
        code=np.array(code, np.uint8), group=np.arange(products) % len(GROUPS), listed=listed,
        amount=np.ones(products), charged=np.ones(products), usual=listed,
        regular=listed[:, None] * of_weeks, depth=0 * listed[:, None] * of_weeks, funding=funding,
        cost=0.7 * listed[:, None] * of_weeks, on_sale=np.ones(products, bool),
        need=np.arange(products) // 2, share=np.full(products, 0.5),
        switching=np.full(products, 2.0), quantity=np.full(products, 0.5),
        further=np.full(products, 0.3),
        of_need=np.array([0.5, 0.3, 0.1, 1.5]), switches=np.array([True]),
        units_a_trip=np.full(products, 1.2), reference=np.zeros(products // 2),
        stock=np.zeros(products // 2), segment=np.arange(customers) % 2,
        factor=np.array([0.8, 1.2]), rate=np.full(customers, 1.5),
        basket=np.full((customers, products), 1 / products, np.float32),
        learnt=np.zeros(customers), likes=np.full((customers, products), 0.1, np.float32),
        strangers=np.array([0.3]), traffic=np.zeros(52), season=np.zeros((products, 52)),
        noise=np.array([0.0]), units=np.full((products, weeks), 9.0),
        trips=np.full(weeks, 78.0), revenue=np.full(weeks, 1200.0),
        last_trip=np.full(customers, weeks), cache="none",
        spend=np.full(customers, 10.0), bought=np.full((customers, products), weeks, np.int16),
        coupon=np.zeros(0, np.int64), coupon_depth=np.zeros(1), coupon_lift=np.zeros(0),
        coupon_taken=np.zeros(0),
    )  # fmt: skip


def with_sure_sales(k: Knowledge, times: float = 1e4) -> Knowledge:
    """The same with so many sales that counts are as good as their means."""
    return replace(k, likes=(k.likes * times).astype(np.float32))
