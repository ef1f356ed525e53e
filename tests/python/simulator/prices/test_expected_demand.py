"""Demand as a function of prices, and its elasticities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up_prices import response_of
from toy import toy_cache

from simulator.prices.elasticities import elasticities, pairs, verdict
from simulator.prices.expected import SMOOTH, ExpectedDemand, _memory
from simulator.prices.response import KEEPS, MEMORY, before_each_week
from simulator.prices.visit_response import learn


class Demand(ExpectedDemand):
    """Of 1,000 trips a week with each product, in one zone and one segment."""

    def __init__(self, response, weeks=1):
        self.response, self.start, self.weeks = response, 20, weeks
        pence = response.products.panel.pence[:, :, 0]
        self.pence = pence
        products = len(pence)
        self._units = torch.ones(products, dtype=torch.float64)
        self._base = torch.full((1, products, 1), 1000.0, dtype=torch.float64)
        self._basket = torch.tensor(pence / pence.sum())[None]
        self._factor = torch.tensor(response.groups)
        self._memory = _memory(weeks)


def test_own_and_cross_elasticities_are_those_of_the_formula(monkeypatch):
    """Two of one need with shares .25 and .75, e of 2 and 4, and v = .5; a third alone."""
    response = response_of([2, 4, 3], [0, 0, 1], lasting=0.5, share=[0.25, 0.75, 1])
    found = elasticities(Demand(response), draws=40)
    table = np.zeros((3, 3))
    table[found.sold, found.priced] = found.value
    expected = [[-2 * 0.75 - 0.5, 4 * 0.75, 0], [2 * 0.25, -4 * 0.25 - 0.5, 0], [0, 0, -0.5]]
    assert table == pytest.approx(np.array(expected))
    # Estimates without an error leave open how well the formulas fit, and nothing else.
    assert (found.low[:4] < found.value[:4]).all() and (found.value[:4] < found.high[:4]).all()
    monkeypatch.setattr("simulator.prices.expected.MISFIT", 0.0)
    sure = elasticities(Demand(response), draws=2)
    assert (sure.low, sure.high) == (pytest.approx(sure.value), pytest.approx(sure.value))


@pytest.mark.parametrize("weeks", [1, 8])
def test_slopes_are_those_of_finite_differences(weeks):
    response = response_of(
        [2, 4, 3], [0, 0, 1], lasting=0.4, passing=0.5, stocking=0.3, quantity=0.4, visits=1.5
    )
    demand = Demand(response, weeks)
    found = elasticities(demand, draws=1)
    for sold, priced, value in zip(found.sold, found.priced, found.value, strict=True):
        move = torch.zeros(3, dtype=torch.float64)
        move[priced] = 1e-4
        # Neighbours of other needs move along, down and up, and must not matter beyond visits.
        up, down = demand.units(move), demand.units(-move)
        slope = float((up[sold].log() - down[sold].log()) / 2e-4)
        assert value == pytest.approx(slope, rel=0.01, abs=0.4 if weeks > 1 else 1e-6)


def test_of_a_missing_products_buyers_some_take_a_rival_and_the_others_nothing():
    """Of 1,000 trips each; products 0 to 2 are a need, 3 is another one."""
    demand = Demand(response_of([3, 3, 3, 3], [0, 0, 0, 1], instead=0.4))
    now = torch.zeros(4, dtype=torch.float64)
    found = demand.units(now, missing=np.array([True, False, False, False]))
    assert found.tolist() == pytest.approx([0, 1200, 1200, 1000])
    found = demand.units(now, missing=np.array([True, True, False, False]))
    assert found.tolist() == pytest.approx([0, 0, 1800, 1000])
    found = demand.units(now, missing=np.array([True, True, True, False]))
    assert found.tolist() == pytest.approx([0, 0, 0, 1000])


def test_what_is_missing_does_not_mind_its_price_and_rivals_mind_their_own():
    response = response_of([3, 2, 2], [0, 0, 0], instead=0.4)
    change = torch.tensor([0.5, 0.1, 0.0], dtype=torch.float64)
    found = Demand(response).units(change, missing=np.array([True, False, False]))
    value = np.log((np.exp(-0.2) + 1) / 2)
    expected = [0, 1200 * np.exp(-0.2 - value), 1200 * np.exp(-value)]
    assert found.tolist() == pytest.approx(expected)


def test_where_needs_cannot_be_told_rivals_are_those_of_the_category():
    response = response_of([3, 3, 3], [0, 1, 2], instead=0.4)
    panel = replace(response.products.panel, category=np.array([5, 5, 7]))
    products = replace(response.products, panel=panel, switches=False)
    demand = Demand(replace(response, products=products))
    now = torch.zeros(3, dtype=torch.float64)
    found = demand.units(now, missing=np.array([True, False, False]))
    assert found.tolist() == pytest.approx([0, 1400, 1000])


def test_what_is_held_is_less_and_less_a_surprise():
    """With d alone the reference price follows, and demand comes back."""
    response = response_of([0], [0], passing=1.0)
    at_once, later = (
        float(Demand(response, weeks).units(torch.tensor([0.2], dtype=torch.float64))[0])
        for weeks in (1, 30)
    )
    assert at_once == pytest.approx(1000 * np.exp(-0.2))
    assert at_once < later < 1000


@pytest.mark.parametrize("change", [0.2, -0.3])
def test_memories_of_a_change_that_is_held(change):
    followed, kept, learnt = (part.numpy() for part in _memory(9))
    held = torch.full((1, 9), change, dtype=torch.float64)
    reference = before_each_week(held, 1 - MEMORY, MEMORY)
    assert reference[0].numpy() == pytest.approx(change * followed)
    brought = torch.tensor(np.random.default_rng(0).random((2, 9)))
    stock = before_each_week(brought, KEEPS, KEEPS).numpy()
    assert brought.numpy() @ kept == pytest.approx(stock)
    assert learn(np.full((1, 9), change))[0] == pytest.approx(change * learnt)


def test_what_stays_cheap_within_its_need_is_stocked_up_and_paid_back():
    """One of two of a need is cheaper, the other as much dearer, so that the reference price of
    the need stays: each trip with the cheap one brings more, and the need is bought less often."""
    response = response_of([0, 0], [0, 0], stocking=1.0, quantity=0.5)
    change = torch.tensor([-0.1, 0.1], dtype=torch.float64)
    brings = np.expm1(0.5 * (0.1 + SMOOTH * np.log1p(np.exp(-0.1 / SMOOTH)) - SMOOTH * np.log(2)))
    later = Demand(response, 300).units(change) / 1000
    weekly = brings / 2 * 0.7 / (1 - 0.7)  # half of the need's trips bring more
    assert float(later[0]) == pytest.approx((1 + brings) * np.exp(-weekly), rel=0.01)
    assert float(later[1]) == pytest.approx(np.exp(-weekly), rel=0.01)


def test_the_price_level_of_baskets_keeps_customers_away():
    response = response_of([0, 0], [0, 1], visits=2.0)
    units = Demand(response, 40).units(torch.full((2,), 0.1, dtype=torch.float64))
    assert (units < 1000).all() and float(units[0]) > 1000 * np.exp(-0.2)
    later = Demand(response, 400).units(torch.full((2,), 0.1, dtype=torch.float64))
    assert float(later[0]) == pytest.approx(1000 * np.exp(-0.2), rel=0.01)


def test_pairs_of_needs():
    sold, priced = pairs(np.array([1, 0, 1]))
    assert set(zip(sold.tolist(), priced.tolist(), strict=True)) == {
        (1, 1), (0, 0), (0, 2), (2, 0), (2, 2),
    }  # fmt: skip


def test_what_an_elasticity_rests_on():
    r = response_of([2, 2, 0], [0, 0, 0]).products
    r.switching_error[:] = [0.1, 0.29, 0.3]
    r.moved[2] = False
    assert verdict(r).tolist() == ["own sales", "typical product", "price never moved"]


def test_from_a_cache(tmp_path):
    """Units at today's prices are what was sold lately."""
    cache = toy_cache(tmp_path / "cache", trips_of=[30] * 60, seed=4)
    from simulator.prices.demand_response import fit_demand_response

    response = fit_demand_response(cache, 25)
    demand = ExpectedDemand(cache, response, 25, 4)
    panel = response.products.panel
    now = demand.units(torch.zeros(len(panel.token), dtype=torch.float64)).numpy()
    assert now == pytest.approx(panel.units[:, :, 12:25].sum((1, 2)) / 13)
