"""Planned prices, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.planned_prices import PlannedPrices, PriceChange
from trainer.features.shelf_prices import ShelfPrices

WEEK = 10


@pytest.fixture
def observed():
    """Two products, two stores without a region: 200 pence, 100 pence."""
    prices = ShelfPrices(
        np.array([150.0, 100.0]), np.array([120.0]), np.zeros(2, bool), np.zeros(2, np.int64)
    )
    prices.observe(np.array([1]), np.array([0]), np.array([9]), np.array([200.0]))
    return prices


def change(first, last, products=(1,), stores=(0,), **how):
    token, store = np.zeros(6, bool), np.zeros(2, bool)
    token[list(products)], store[list(stores)] = True, True
    return PriceChange(token, store, first, last, **how)


def at(prices, week, token=1, store=0):
    return prices.at(np.array([token]), np.array([store]), np.array([week]))[0].tolist()


def test_a_promotion_looks_like_one(observed):
    planned = PlannedPrices(observed, [change(WEEK, WEEK, factor=0.75)])
    assert at(planned, WEEK - 1) == [200, 200, 200]
    assert at(planned, WEEK) == [150, 200, 200]
    assert at(planned, WEEK + 1) == [200, 150, 200]
    assert at(planned, WEEK + 2) == [200, 200, 200]


def test_a_new_regular_price_becomes_the_base_price(observed):
    planned = PlannedPrices(observed, [change(WEEK, 99, pence=180.0)])
    assert at(planned, WEEK) == [180, 200, 200]
    assert at(planned, WEEK + 3) == [180, 180, 180]
    assert at(planned, WEEK + 2)[2] == 200


def test_of_two_plans_for_a_shelf_the_last_counts(observed):
    plans = [change(WEEK, WEEK, pence=50.0), change(WEEK, WEEK, pence=70.0)]
    assert at(PlannedPrices(observed, plans), WEEK)[0] == 70


def test_other_products_and_stores_stay(observed):
    planned = PlannedPrices(observed, [change(WEEK, WEEK, factor=0.5)])
    for token, store in ((2, 0), (1, 1), (1, -1)):
        assert at(planned, WEEK, token, store) == at(observed, WEEK, token, store)


def test_prices_are_whole_pence_and_never_free(observed):
    assert at(PlannedPrices(observed, [change(WEEK, WEEK, factor=0.333)]), WEEK)[0] == 67
    assert at(PlannedPrices(observed, [change(WEEK, WEEK, factor=0.001)]), WEEK)[0] == 1
