"""Prices worth charging."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_prices import response_of
from test_expected_demand import Demand

from simulator.prices.optimise import Rules, best_prices
from trainer.commands.errors import InputError


def test_the_markup_of_a_constant_elasticity():
    """With elasticity -2 and cost 50 the best price is 50 x 2 / (2 - 1) = 100."""
    demand = Demand(response_of([0], [0], lasting=2.0, pence=90.0))
    plan = best_prices(demand, np.array([50.0]), Rules(most_move=0.3))
    assert (plan.before[0], plan.after[0]) == (90, 100)
    assert plan.units_after[0] == pytest.approx(1000 * (100 / 90) ** -2)
    assert plan.profit_after == pytest.approx(plan.units_after[0] * 50)


def test_what_is_dear_today_alone_is_no_lasting_gain():
    """With cost 50 and elasticity -2 the best price is 100. From 90 today that earns 50 x .81 in
    place of 40; from 60, the usual price, a ninth more is 66.7 and earns 16.7 x .81 in place of
    10."""
    response = response_of([0], [0], lasting=2.0, pence=90.0)
    response.products.panel.pence[:, :, 0] = 90.0
    demand = Demand(response)
    plan = best_prices(demand, np.array([50.0]), Rules(most_move=0.3))
    assert plan.usual_gain == pytest.approx(plan.profit_after / plan.profit_before - 1)
    response.products.panel.pence[:] = 60.0
    demand.pence = np.full((1, 1), 90.0)
    plan = best_prices(demand, np.array([50.0]), Rules(most_move=0.3))
    assert plan.profit_after / plan.profit_before - 1 == pytest.approx(50 * 0.81 / 40 - 1)
    assert plan.usual_gain == pytest.approx((60 / 0.9 - 50) * 0.81 / 10 - 1)
    weekly = np.full((1, 20), 20.0)
    weekly[0, 0] = np.nan  # before the first that is known
    plan = best_prices(demand, np.array([50.0]), Rules(most_move=0.3), weekly)
    assert plan.usual_gain == pytest.approx((60 / 0.9 - 20) * 0.81 / 40 - 1)
    response.products.panel.pence[:] = 50.0
    assert np.isnan(best_prices(demand, np.array([50.0]), Rules(most_move=0.3)).usual_gain)


def test_the_move_the_ending_and_the_margin_bind():
    demand = Demand(response_of([0], [0], lasting=2.0, pence=90.0))
    cost = np.array([50.0])
    assert best_prices(demand, cost, Rules(most_move=0.05)).after[0] == 94
    assert best_prices(demand, cost, Rules(most_move=0.3, endings=(95, 9))).after[0] == 95
    assert best_prices(demand, cost, Rules(most_move=0.3, least_margin=0.55)).after[0] == 112


def test_substitutes_are_priced_together():
    """Of two that only take from each other, dear ones earn more together than alone."""
    demand = Demand(response_of([4, 4], [0, 0], lasting=1.2, pence=100.0))
    plan = best_prices(demand, np.array([70.0, 70.0]), Rules(most_move=0.2))
    assert plan.after.tolist() == [120, 120]


def test_what_is_not_known_stays():
    response = response_of([0, 0, 0], [0, 1, 2], lasting=2.0, pence=90.0)
    response.products.moved[1] = False
    plan = best_prices(Demand(response), np.array([50, 50, np.nan]), Rules(most_move=0.3))
    assert plan.after.tolist() == [100, 90, 90]
    with pytest.raises(InputError, match="nothing to optimise"):
        best_prices(Demand(response), np.full(3, np.nan), Rules())


def test_what_is_given_away_is_in_nobodys_way():
    response = response_of([0, 0], [0, 1], lasting=2.0, pence=[90.0, 0.2])
    plan = best_prices(Demand(response), np.array([50, np.nan]), Rules(most_move=0.3))
    assert plan.before.tolist() == [90, 1] and plan.after.tolist() == [100, 1]
    assert plan.gain.sum() == pytest.approx(plan.profit_after - plan.profit_before)


def test_rules_that_no_plan_keeps():
    demand = Demand(response_of([0, 0], [0, 1], lasting=2.0, pence=90.0))
    rules = Rules(most_move=0.1, parity=((0, 1, 2.0, 0.0),))
    with pytest.raises(InputError, match="no plan was found that keeps all rules"):
        best_prices(demand, np.array([50.0, 50.0]), rules)


def test_a_ratio_that_few_prices_keep_is_found():
    demand = Demand(response_of([0, 0], [0, 1], lasting=2.0, pence=[180.0, 200.0]))
    rules = Rules(most_move=0.3, parity=((0, 1, 1.5, 0.0),))
    plan = best_prices(demand, np.array([90.0, 100.0]), rules)
    assert plan.after[0] == 1.5 * plan.after[1] <= 1.3 * 180


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000), index=st.sampled_from([None, 0.97, 1.0, 1.03]),
    changes=st.sampled_from([None, 1, 3]), parity=st.booleans(),
    endings=st.sampled_from([(), (9, 19, 49, 99)]),
)  # fmt: skip
def test_a_plan_keeps_all_rules_and_earns_no_less(seed, index, changes, parity, endings):
    rng = np.random.default_rng(seed)
    need = np.sort(rng.integers(0, 3, 6))
    _, need = np.unique(need, return_inverse=True)
    pence = rng.integers(80, 120, 6).astype(float)
    demand = Demand(response_of(rng.uniform(0, 4, 6), need, lasting=1.5, pence=pence), 4)
    cost = pence * rng.uniform(0.4, 0.8, 6)
    if index == 0.97:  # cheaper by 3 % may be impossible under further rules
        changes, parity, endings = None, False, ()
    links = ((0, 1, float(pence[0] / pence[1]), 0.05),) if parity else ()
    rules = Rules(0.2, endings, 0.1, index, changes, links)
    plan = best_prices(demand, cost, rules)
    changed = plan.after != plan.before
    assert (np.abs(plan.after - plan.before) <= 0.2 * plan.before + 1e-9).all()
    assert (plan.after[changed] * 0.9 >= cost[changed] - 1e-6).all()
    if endings:
        assert np.isin(plan.after[changed] % 100, endings).all()
    if changes is not None:
        assert changed.sum() <= changes
    if index is not None:
        weight = plan.units_before * plan.before
        assert (weight * plan.after / plan.before).sum() <= index * weight.sum() + 1e-6
    if parity:
        assert plan.after[0] == pytest.approx(links[0][2] * plan.after[1], rel=0.0501)
    if index != 0.97:
        assert plan.profit_after >= plan.profit_before - 1e-9
