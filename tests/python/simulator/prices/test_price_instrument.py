"""Costs tell whether prices followed demand, and elasticities of which that is taken out are known
ones; costs that tell nothing change nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_prices import panel_of, response_of
from scipy.optimize import minimize

from simulator.prices.expected import Parameters
from simulator.prices.instrument import NOTHING, Contrast, _Poisson, instrumented
from simulator.prices.needs import Needs
from simulator.prices.relative import relative_prices
from simulator.prices.response import fit_response

NEED = np.repeat(np.arange(8), 3)
SWITCHING = np.tile([1.5, 2.5, 3.5], 8)
BUYING = 0.5
SHAPE = PRODUCTS, ZONES, WEEKS = 24, 2, 80


def made(rng, shock, follow, category):
    """The response to receipts of a manager whose log prices follow the week's demand and costs,
    and the costs. shock: (P, 1, W) of log demand, which he sees."""
    cost = np.zeros((PRODUCTS, WEEKS))
    for week in range(1, WEEKS):
        cost[:, week] = 0.9 * cost[:, week - 1] + rng.normal(0, 0.05, PRODUCTS)
    price = 0.8 * cost[:, None] + follow * shock - 0.3 * (rng.random(shock.shape) < 0.15)
    pence = np.broadcast_to(np.rint(200 * np.exp(price)), SHAPE)
    price = np.log(pence / 200)
    appeal = np.exp(-SWITCHING[:, None, None] * price + shock)
    total = np.stack([appeal[need == NEED].mean(0) for need in range(8)])
    # What is common to a need is demand for all of it.
    common = np.stack([shock[need == NEED].mean(0) for need in range(8)])[NEED]
    trips = rng.poisson(60 * appeal / total[NEED] * np.exp(common - BUYING * price))
    panel = panel_of(trips, pence, category=category, department=category // 4)
    found = fit_response(panel, relative_prices(panel, WEEKS), Needs(NEED, 0.5), WEEKS)
    return found, 100 * np.exp(cost)


@pytest.fixture(scope="module")
def of_products():
    """Prices follow the demand for the product."""
    rng = np.random.default_rng(0)
    shock = rng.normal(0, 0.25, (PRODUCTS, 1, WEEKS))
    shock -= np.stack([shock[need == NEED].mean(0) for need in range(8)])[NEED]
    return made(rng, shock, 0.5, NEED)


@pytest.fixture(scope="module")
def of_needs():
    """Prices follow the demand for the whole need."""
    rng = np.random.default_rng(1)
    return made(rng, rng.normal(0, 0.2, (8, 1, WEEKS))[NEED], 0.5, NEED)


def test_prices_that_follow_the_demand_for_products_are_seen_through(of_products):
    without, costs = of_products
    found, told = instrumented(without, costs)
    assert without.switching.mean() < 2  # where 2.5 is true
    assert told.within.is_used and told.within.strength > 50
    assert told.within.residual > 4 * told.within.residual_error
    assert found.switching.mean() == pytest.approx(
        SWITCHING.mean(), abs=3 * told.within.shift_error
    )
    assert told.within.shift_error < 0.15
    shift = told.within.shift - told.between.shift * told.between.is_used
    assert np.allclose(found.switching - without.switching, shift)
    assert np.exp(found.typical) - np.exp(without.typical) == pytest.approx(shift)
    assert told.without is without


def test_prices_that_follow_the_demand_for_needs_are_seen_through(of_needs):
    without, costs = of_needs
    found, told = instrumented(without, costs)
    assert without.lasting + without.passing < 0.2
    assert told.between.is_used and not told.within.is_used
    assert found.lasting + found.passing == pytest.approx(BUYING, abs=3 * told.between.shift_error)
    assert told.between.shift_error < 0.3
    assert without.switching.mean() > 3  # so that products of a need differ as they should
    assert found.switching.mean() == pytest.approx(
        SWITCHING.mean(), abs=3 * told.between.shift_error
    )
    assert found.shift_error == (0, told.between.shift_error)


def test_an_elasticity_changes_where_prices_clearly_followed_demand_and_it_is_clearly_off():
    clear = Contrast(30.0, 1.1, 0.3, 1.4, 0.3, 100)
    assert clear.is_used
    for other in ({"residual": -0.25}, {"shift": 0.5}, {"strength": 9.9}):
        assert not replace(clear, **other).is_used


def of_costs_alone(seed):
    """A response that is right, to prices that follow costs alone, of 20 needs; and the costs."""
    rng = np.random.default_rng(seed)
    need = np.repeat(np.arange(20), 3)
    switching = np.tile([1.5, 2.5, 3.5], 20)
    cost = rng.normal(0, 0.03, (60, 50)).cumsum(1)
    price = np.repeat(0.8 * cost[:, None] - 0.3 * (rng.random((60, 1, 50)) < 0.15), 2, axis=1)
    appeal = -switching[:, None, None] * price
    total = np.stack([np.exp(appeal[need == k]).mean(0) for k in range(20)])
    effect = appeal - np.log(total[need]) - BUYING * price
    demand = rng.normal(0, 0.1, (60, 1, 50)) + rng.normal(0, 0.1, (20, 1, 50))[need]
    trips = rng.poisson(40 * np.exp(effect + demand))
    known = response_of(switching, need, lasting=BUYING).products
    panel = panel_of(trips, 200 * np.exp(price), category=need, department=need // 10)
    return replace(known, panel=panel, price=price, effect=effect), 100 * np.exp(cost)


def test_prices_that_follow_costs_alone_leave_elasticities_as_they_are():
    without, costs = of_costs_alone(0)
    found, told = instrumented(without, costs)
    assert found is without
    for each in (told.within, told.between):
        assert each.is_strong and each.categories == 20
        assert abs(each.shift) < 0.15 and abs(each.residual) < 3 * each.residual_error


def test_costs_that_move_no_price_are_weak_and_not_used():
    without, costs = of_costs_alone(1)
    found, told = instrumented(without, of_costs_alone(2)[1])
    assert found is without
    assert not told.within.is_strong and not told.between.is_strong
    for nothing in (100.0, np.nan):
        found, told = instrumented(without, np.full_like(costs, nothing))
        assert found is without and told.within == told.between == NOTHING


def test_products_without_costs_count_for_nothing(of_products):
    without, costs = of_products
    unknown = NEED >= 6
    gone = np.where(unknown[:, None], np.nan, costs)
    panel = without.panel
    other = replace(panel, trips=np.where(unknown[:, None, None], 3, panel.trips))
    one, two = (
        instrumented(replace(without, panel=each), gone)[1].within for each in (panel, other)
    )
    assert one == two and one.is_used


def test_where_needs_cannot_be_told_only_the_own_price_is_asked_about(of_products):
    without, costs = of_products
    alone = replace(without, switches=False, need=np.arange(PRODUCTS))
    assert instrumented(alone, costs)[1].between == NOTHING


def test_levels_of_two_kinds_are_as_if_each_had_a_coefficient():
    """Against the likelihood itself, with cells that are truncated at zero."""
    rng = np.random.default_rng(0)
    one, other = np.repeat(np.arange(6), 8), np.tile(np.arange(8), 6)
    x, offset = rng.normal(size=(48, 2)), rng.normal(0, 0.2, 48)
    y = rng.poisson(np.exp(1.0 + offset + x @ [0.5, -0.3] + 0.2 * one - 0.1 * other))
    truncated = (rng.random(48) < 0.4) & (y > 0)
    y = y.astype(float)

    def nats(b):
        log_mean = offset + x @ b[:2] + b[2:8][one] + np.append(0, b[8:])[other]
        mean = np.exp(log_mean)
        return (np.where(truncated, mean + np.log(-np.expm1(-mean)), mean) - y * log_mean).sum()

    best = minimize(nats, np.zeros(15), method="BFGS", options={"gtol": 1e-7})
    fit = _Poisson(y, truncated, offset, [one, other])
    assert fit.to(x)
    assert fit.beta == pytest.approx(best.x[:2], abs=2e-4)
    assert not fit.to(one[:, None].astype(float))  # levels say all of it


def test_what_an_instrument_leaves_open_is_in_the_draws():
    known = response_of([2.0] * 40, np.arange(40) // 2)
    drawn = []
    for error in (0.0, 0.0), (0.3, 0.4):
        response = replace(known, products=replace(known.products, shift_error=error))
        rng = np.random.default_rng(0)
        draws = [Parameters.drawn(response, rng) for _ in range(300)]
        drawn.append([(each.switching.numpy().mean(), each.lasting) for each in draws])
    (alone, _), (both, buying) = (np.std(each, axis=0) for each in drawn)
    assert alone < 0.15
    assert both == pytest.approx(0.5, rel=0.2) and buying == pytest.approx(0.4, rel=0.2)
    of_both, of_buying = np.transpose(drawn[1])
    assert np.std(of_both + of_buying) == pytest.approx(0.3, rel=0.3)  # what is known of e + v
