"""Plans that no shop could live on earn nothing extra in the chain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_worlds import at_price, lines, without_promotions

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


@pytest.mark.parametrize("pricing", ["managed", "random"])
def test_suppliers_do_not_pay_for_a_price_that_was_raised_to_be_cut(pricing):
    """Twice the prices with half of them off are the same prices to shoppers."""
    world = World(replace(CONFIG, pricing=pricing))
    raised = world.copy()
    for _ in range(8):
        plan = without_promotions(world.plan())
        before = world.step(plan)
        after = raised.step(replace(at_price(plan, 2), depth=np.full(plan.regular.size, 0.5)))
        margin, other = (x.profit.sum() / x.revenue.sum() for x in (before, after))
        assert other == pytest.approx(margin, abs=0.01)


def test_suppliers_pay_what_is_off_the_managers_price(lived):
    world = lived.copy()
    plan = without_promotions(world.plan())
    depth = np.full(plan.regular.size, 0.3)
    deal, cheap = (world.copy() for _ in range(2))
    a = deal.step(replace(plan, depth=depth))
    b = cheap.step(at_price(plan, 0.7))  # no promotion, nothing to pay
    s, r, week = world.setting, a.receipts, world.week - 1
    weighed = s.catalogue.random_weight
    cost = np.where(weighed, np.nan, s.economy.cost[:, week])
    np.testing.assert_allclose(b.cost[~weighed], (b.units * cost)[~weighed])
    paid = (a.units * cost - a.cost)[~weighed]
    share = s.economy.funding[~weighed, week]
    off = np.bincount(r.product, r.spend, weighed.size)[~weighed] * 0.3 / 0.7
    dear = plan.regular[~weighed] > 100
    np.testing.assert_allclose(paid[dear], (share * off)[dear], rtol=0.03, atol=1)


def test_prices_of_what_is_not_on_sale_impress_nobody(lived):
    """Half of the needs' products at a penny, but never there: no cheap image from them."""
    s = lived.setting
    off = np.zeros(s.at.size, bool)
    off[s.by_need[s.start[:-1]]] = True
    absent, decoy = lived.copy(), lived.copy()
    for _ in range(4):
        plan = lived.plan()
        plan = replace(plan, assortment=plan.assortment & ~off)
        penny = np.where(off, 1, plan.regular)
        absent.step(plan)
        decoy.step(replace(plan, regular=penny, depth=np.where(off, 0.9, plan.depth)))
    assert lines(absent.step(plan)) == lines(decoy.step(plan))
    assert np.array_equal(absent.memory.image, decoy.memory.image)
    assert np.array_equal(absent.memory.reference, decoy.memory.reference)
