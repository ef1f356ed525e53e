"""Prices that a manager sets mislead a regression; random ones, of the same shoppers, do not."""

from __future__ import annotations

import numpy as np
import pytest
from small_worlds import lines

from dbt_project.sample import Behaviour, ChainConfig, World
from dbt_project.sample.response import week_elasticities

WEEKS = 117
# An elasticity that is the same at once and in the long run, for promotions and regular prices.
CALM = Behaviour(loss=0, deal=0, stock_up=0, habit=0, feature=0)


def world(pricing: str) -> World:
    sizes = {"customers": 1500, "products": 200, "stores": 6, "weeks": WEEKS, "seed": 4}
    return World(ChainConfig(pricing=pricing, **sizes), CALM)


def panel(pricing: str) -> tuple[np.ndarray, ...]:
    """Units, mean log regular prices and mean logs of what promotions leave, (products, weeks)."""
    lived, weeks = world(pricing), []
    for _ in range(WEEKS):
        plan = lived.plan()
        units = lived.step(plan).units
        weeks.append((units, np.log(plan.regular), np.log(1 - plan.depth).mean(0)))
    return tuple(np.array(x).T for x in zip(*weeks, strict=True))


def within(x: np.ndarray) -> np.ndarray:
    """Without the means of products and of weeks, flat."""
    return (x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()).ravel()


def test_managed_prices_are_confounded_and_random_ones_are_not():
    """Log units on log prices, product and week effects: what an analyst would do first."""
    panels = panel("managed"), panel("random")
    sold = np.flatnonzero(np.min([units.min(1) for units, _, _ in panels], axis=0) >= 3)
    assert sold.size > 25
    found = []
    for units, regular, off in panels:
        x = np.stack([within(regular[sold]), within(off[sold])], axis=1)
        found.append(np.linalg.lstsq(x, within(np.log(units[sold])), rcond=None)[0][0])
    lived = world("random")
    for _ in range(WEEKS // 2):
        lived.step()
    true = week_elasticities(lived, 4)["product"]
    own = (true.sold == true.priced) & np.isin(true.sold, sold)
    truth = true.value[own].mean()
    assert found[1] == pytest.approx(truth, abs=0.3)
    assert found[0] > truth + 0.3


def test_the_twin_has_the_same_shoppers_and_costs():
    managed, random = world("managed"), world("random")
    a, b = managed.setting, random.setting
    assert np.array_equal(a.economy.cost, b.economy.cost)
    assert np.array_equal(a.economy.demand_shock, b.economy.demand_shock)
    assert np.array_equal(a.households.favourite, b.households.favourite)
    plan = random.plan()
    assert lines(managed.step(plan)) == lines(random.step(plan))
