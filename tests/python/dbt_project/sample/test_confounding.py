"""Prices that a manager sets mislead a regression; random ones, of the same shoppers, do not."""

from __future__ import annotations

import numpy as np
import pytest

from dbt_project.sample import Behaviour, ChainConfig, World
from dbt_project.sample.response import week_elasticities

WEEKS = 80
# Without reference prices and pantries an elasticity is the same at once and in the long run.
CALM = Behaviour(loss=0, deal=0, stock_up=0, habit=0)


def world(pricing: str) -> World:
    sizes = {"customers": 1500, "products": 200, "stores": 6, "weeks": WEEKS, "seed": 3}
    return World(ChainConfig(pricing=pricing, **sizes), CALM)


def panel(pricing: str) -> tuple[np.ndarray, np.ndarray]:
    """Units and mean log prices of a chain, (products, weeks)."""
    lived, units, prices = world(pricing), [], []
    for _ in range(WEEKS):
        plan = lived.plan()
        units.append(lived.step(plan).units)
        prices.append(np.log(plan.regular * (1 - plan.depth)).mean(0))
    return np.array(units).T, np.array(prices).T


def within(x: np.ndarray) -> np.ndarray:
    """Without the means of products and of weeks."""
    return x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()


def test_managed_prices_are_confounded_and_random_ones_are_not():
    lived = world("random")
    (managed, its_prices), (random, their_prices) = panel("managed"), panel("random")
    sold = np.flatnonzero((managed.min(1) >= 3) & (random.min(1) >= 3))
    assert sold.size > 25
    slopes = []
    for units, prices in ((managed, its_prices), (random, their_prices)):
        x, y = within(prices[sold]), within(np.log(units[sold]))
        slopes.append((x * y).sum() / (x * x).sum())
    for _ in range(WEEKS // 2):
        lived.step()
    found = week_elasticities(lived, 4)["product"]
    own = (found.sold == found.priced) & np.isin(found.sold, sold)
    truth = found.value[own].mean()
    assert slopes[1] == pytest.approx(truth, abs=0.25)
    assert slopes[0] > truth + 0.3


def test_the_twin_has_the_same_shoppers_and_costs():
    managed, random = world("managed").setting, world("random").setting
    assert np.array_equal(managed.economy.cost, random.economy.cost)
    assert np.array_equal(managed.economy.demand_shock, random.economy.demand_shock)
    assert np.array_equal(managed.households.favourite, random.households.favourite)
    first, other = (w.step() for w in (world("managed"), world("random")))
    # Trips of the first week are the same; prices differ in promotions alone.
    assert first.trips == pytest.approx(other.trips, rel=0.05)
