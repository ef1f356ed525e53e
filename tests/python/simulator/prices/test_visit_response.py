"""Whoever finds the usual basket dear comes less often."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_prices import panel_of

from simulator.prices.visit_response import (
    basket_price,
    fit_visit_response,
    learn,
    main_store,
    usual_baskets,
)

CUSTOMERS, PRODUCTS, WEEKS = 1500, 12, 80


class Receipts(dict):
    """The columns of a cache that are read; one store, one item a trip."""

    def __init__(self, customer, week, token):
        order = np.lexsort((week, customer))
        count = np.bincount(customer, minlength=CUSTOMERS)
        super().__init__({
            "customers.trip_offsets": np.append(0, count.cumsum()),
            "trips.week": week[order], "trips.store": np.zeros(len(week), int),
            "trips.item_offsets": np.arange(len(week) + 1), "items.token": token[order],
            "items.quantity": np.ones(len(week), int),
            "products.pence": np.full(PRODUCTS, 100.0), "categories.pence": np.zeros(0),
        })  # fmt: skip
        self.vocabulary = type("Vocabulary", (), {"input_size": PRODUCTS + 3})

    def rows(self, table):
        return {"customers": CUSTOMERS, "stores": 1}[table]


def receipts(value: float, seed: int = 0):
    """Everyone buys three products; prices wander; trips follow what has been learnt of them, and a
    season."""
    rng = np.random.default_rng(seed)
    favourites = np.argsort(rng.random((CUSTOMERS, PRODUCTS)), axis=1)[:, :3]
    steps = rng.normal(0, 0.05, (PRODUCTS, WEEKS)).cumsum(1)
    price = (steps - steps.mean(1, keepdims=True))[:, None]
    level = price[favourites, 0].mean(1)
    rate = 1.5 * np.exp(0.3 * np.sin(np.arange(WEEKS) / 8) - value * learn(level))
    trips = rng.poisson(rate)
    customer, week = (np.repeat(x, trips.ravel()) for x in np.indices(trips.shape).reshape(2, -1))
    token = favourites[customer, rng.integers(0, 3, len(customer))] + 1
    nothing = np.ones((PRODUCTS, 1, WEEKS))
    traffic = trips.sum(0, keepdims=True).astype(float)
    return Receipts(customer, week + 1, token), panel_of(nothing, nothing, traffic=traffic), price


@pytest.mark.parametrize("value", [0.0, 1.5])
def test_a_known_response_is_found(value):
    cache, panel, price = receipts(value)
    found = fit_visit_response(cache, panel, price, WEEKS)
    assert found.error < 0.3
    assert abs(found.value - value) < 3 * found.error + 0.15


def test_baskets_and_what_is_learnt_by_hand():
    cache, panel, _ = receipts(0.0)
    baskets = usual_baskets(cache, panel, np.arange(1, WEEKS + 1))
    assert baskets.sum(1) == pytest.approx(np.ones((CUSTOMERS, 1)))
    price = np.zeros((PRODUCTS, 1, 2))
    price[:, 0, 1] = 0.1
    level = basket_price(baskets, np.zeros(CUSTOMERS, int), price)
    assert level == pytest.approx(np.tile([0, 0.1], (CUSTOMERS, 1)))
    assert learn(np.array([[0.1, 0.1, 0.0]]))[0] == pytest.approx([0, 0.015, 0.02775])
    assert main_store(cache, WEEKS).tolist() == [0] * CUSTOMERS


def test_prices_that_never_moved_keep_nobody_away():
    cache, panel, price = receipts(0.0)
    assert fit_visit_response(cache, panel, 0 * price, WEEKS) == (0.0, 0.0)
