"""Coupons: for their holder alone, used once, and good for a while."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_worlds import lines, without_promotions

from dbt_project.sample import ChainConfig, Coupons, World

CONFIG = ChainConfig(customers=600, products=200, stores=8, weeks=30, seed=6)
DEPTH = 0.4


@pytest.fixture(scope="module")
def lived() -> World:
    world = World(CONFIG)
    for _ in range(4):
        world.step()
    return world


@pytest.fixture(scope="module")
def product(lived) -> int:
    """A popular product of a need with rivals."""
    c = lived.setting.catalogue
    shared = np.bincount(c.need)[c.need] > 2
    return int(np.argmax(c.popularity * shared * ~c.random_weight * (c.price > 25)))


HOLDERS = np.arange(0, 600, 2)


def weeks_with(world: World, coupons: Coupons, weeks: int = 6):
    """Results with coupons handed out in the first week, and without."""
    plain, given = world.copy(), world.copy()
    results = []
    for week in range(weeks):
        plan = without_promotions(plain.plan())
        with_coupons = replace(plan, coupons=coupons) if week == 0 else plan
        results.append((plain.step(plan), given.step(with_coupons)))
    return results, given


def test_only_the_holder_is_moved_and_pays_less(lived, product):
    results, world = weeks_with(lived, Coupons.on_products(HOLDERS, product, DEPTH))
    used = {}
    sold = np.zeros((2, 2), int)  # without and with coupons; others and holders
    for week, (plain, given) in enumerate(results):
        others = [[x for x in lines(r) if x[0] not in HOLDERS] for r in (plain, given)]
        assert others[0] == others[1]
        r = given.receipts
        for item in np.flatnonzero(given.discount):
            household = int(r.household[r.trip[item]])
            assert household in HOLDERS and household not in used
            assert r.product[item] == product and week < 4
            paid = r.spend[item] + given.discount[item]
            assert given.discount[item] == np.rint(paid // r.quantity[item] * DEPTH)
            used[household] = week
        for k, result in enumerate((plain, given)):
            bought = result.receipts
            mine = bought.product == product
            holder = np.isin(bought.household[bought.trip[mine]], HOLDERS)
            sold[k] += np.bincount(holder, bought.quantity[mine], 2).astype(int)
    assert sold[0, 0] == sold[1, 0]
    assert sold[1, 1] > 1.15 * sold[0, 1]
    assert 0.05 < len(used) / HOLDERS.size < 0.9
    assert len(world.memory.coupons) == 0  # used or expired


def test_coupons_cost_what_they_take_off(lived, product):
    (plain, given), *_ = weeks_with(lived, Coupons.on_products(HOLDERS, product, DEPTH), 1)[0]
    assert given.revenue.sum() == given.receipts.spend.sum()
    full = given.receipts.spend + given.discount
    c, e = lived.setting.catalogue, lived.setting.economy
    mine = given.receipts.product == product
    unit = e.cost[product, given.week - 1]
    expected = full[mine].sum() - given.discount.sum() - unit * given.units[product]
    assert not c.random_weight[product]
    assert given.profit[product] == pytest.approx(expected)
    assert plain.discount.sum() == 0


def test_a_coupon_on_a_need_is_good_for_all_its_products(lived, product):
    need = lived.setting.catalogue.need
    results, _ = weeks_with(lived, Coupons.on_needs(HOLDERS, need[product], DEPTH))
    used = [given.receipts.product[given.discount > 0] for _, given in results]
    used = np.concatenate(used)
    assert (need[used] == need[product]).all()
    assert np.unique(used).size > 1


def test_deeper_coupons_bring_more_and_more_holders(lived, product):
    counts = []
    for depth in (0.1, 0.3, 0.6):
        results, _ = weeks_with(lived, Coupons.on_products(HOLDERS, product, depth))
        counts.append(sum((given.discount > 0).sum() for _, given in results))
    assert counts[0] < counts[1] < counts[2]


def test_of_two_coupons_for_a_need_the_deeper_is_kept(product, lived):
    need = lived.setting.catalogue.need
    both = Coupons(
        np.array([3, 3, 1]), np.array([product, -1, product]), np.array([-1, need[product], -1]),
        np.array([0.2, 0.5, 0.1]), np.array([0, 0, 9]),
    )  # fmt: skip
    kept = Coupons.none().handed_out(both, 7, need)
    assert kept.household.tolist() == [1, 3]
    assert kept.depth.tolist() == [0.1, 0.5]
    assert kept.until.tolist() == [9, 10]
    assert kept.handed_out(Coupons.none(), 10, need).household.tolist() == [3]


def test_the_deepest_is_kept_and_of_these_the_one_good_longest(lived, product):
    def held(*handed_out):
        coupons = Coupons.none()
        for week, depth in handed_out:
            new = Coupons.on_products([7], [product], depth)
            coupons = coupons.handed_out(new, week, lived.setting.catalogue.need)
        return coupons.depth.tolist(), coupons.until.tolist()

    assert held((5, 0.2), (7, 0.2)) == ([0.2], [10])
    assert held((5, 0.3), (7, 0.2)) == ([0.3], [8])
    assert held((5, 0.2), (7, 0.3)) == ([0.3], [10])
