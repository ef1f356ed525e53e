"""Plans that no shop could live on earn nothing extra in the chain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_worlds import at_price

from dbt_project.sample import ChainConfig, Coupons, World
from dbt_project.sample.offer import DEAR, affordable

CONFIG = ChainConfig(customers=250, products=200, stores=8, weeks=40, seed=5)


@pytest.fixture(scope="module")
def lived() -> World:
    """A world after its tenth week, to be copied."""
    world = World(CONFIG)
    for _ in range(10):
        world.step()
    return world


def earned(world: World, change, weeks: int = 4) -> float:
    """Profit of weeks in which the manager's plan of the first one is changed."""
    own = world.copy()
    plan = own.plan()
    return sum(own.step(change(plan)).profit.sum() for _ in range(weeks))


def as_planned(plan):
    return plan


def test_prices_out_of_reach_sell_nothing_worth_having(lived):
    """What some buyers hardly mind would otherwise earn without bound."""
    usual = earned(lived, as_planned)
    partner = lived.setting.catalogue.partner
    brought = np.ones(partner.size)
    brought[partner[partner >= 0]] = 1000
    assert (partner >= 0).any()
    for factor in (30, 1000):
        assert earned(lived, lambda plan, f=factor: at_price(plan, f)) < usual / 2
    # Nor what comes into the basket with something else.
    assert earned(lived, lambda plan: at_price(plan, brought)) < usual


def test_a_coupon_sells_nothing_out_of_reach(lived):
    s = lived.setting
    product = s.favourite[np.argsort(-s.need_share.mean(0))[:20]]
    who, what = np.meshgrid(np.arange(s.households.known), product)
    factor = np.ones(s.at.size)
    factor[product] = 300
    coupons = Coupons.on_products(who.ravel(), what.ravel(), 0.5)
    given = earned(lived, lambda plan: replace(at_price(plan, factor), coupons=coupons))
    assert given < earned(lived, as_planned)


def test_what_is_affordable():
    ratio = np.log(np.array([0.01, 1, DEAR, 2 * DEAR, 10 * DEAR]))
    assert affordable(ratio) == pytest.approx([1, 1, 1, 1 / 8, 1 / 1000])
