"""The truth by re-running, and elasticities from expected purchases beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_worlds import at_price

from dbt_project.sample import ChainConfig, World
from dbt_project.sample.counterfactual import (
    Effect,
    Held,
    at_prices,
    counterfactual,
    customer_value,
    elasticities,
    live_on,
)
from dbt_project.sample.levels import Level, estimate
from dbt_project.sample.response import week_elasticities

CONFIG = ChainConfig(customers=500, products=150, stores=8, weeks=30, seed=9)


@pytest.fixture(scope="module")
def lived() -> World:
    world = World(CONFIG)
    for _ in range(6):
        world.step()
    return world


def test_no_change_is_exactly_no_effect(lived):
    held = Held.of(lived, 3, 2)
    for effect in counterfactual(lived, held, 3, 2).effects().values():
        assert effect.before == effect.after
        assert (effect.difference, effect.standard_error) == (0, 0)
    assert lived.week == 7


def test_an_effect_is_the_mean_of_differences():
    effect = Effect.of(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    assert effect == Effect(2.0, 4.0, 2.0, pytest.approx(1 / np.sqrt(3)))
    assert np.isnan(Effect.of(np.ones(1), np.ones(1)).standard_error)


def test_dearer_weeks_lose_units_trips_and_households(lived):
    dear = counterfactual(lived, lambda w: at_price(w.plan(), 1.3), 10, 3).effects()
    for name in ("units", "trips"):
        assert dear[name].difference < -4 * dear[name].standard_error, name
    assert dear["active_households"].difference < 0
    assert dear["profit_pence"].difference > 4 * dear["profit_pence"].standard_error


def test_a_two_per_cent_effect_on_a_category_is_seen(lived):
    """A category's price that lowers its units by 2 % in truth is told from none."""
    catalogue = lived.setting.catalogue
    inside = catalogue.dep == catalogue.dep[np.argmax(catalogue.popularity)]
    held = Held.of(lived, 4, 6)
    factor = np.where(inside, 1.025, 1.0)
    effect = counterfactual(lived, held.changed(at_prices(factor)), 4, 6).units(inside)
    assert -0.05 < effect.difference / effect.before < -0.01
    assert -effect.difference > 3 * effect.standard_error


def test_a_deal_takes_sales_from_its_rivals(lived):
    catalogue = lived.setting.catalogue
    size = np.bincount(catalogue.need)[catalogue.need]
    product = int(np.argmax(catalogue.popularity * (size > 2) * (catalogue.price > 20)))
    depth = np.where(np.arange(150) == product, 0.3, 0.0)
    bare = lambda world: replace(world.plan(), depth=0 * depth)  # noqa: E731
    deal = lambda world: replace(world.plan(), depth=depth)  # noqa: E731
    compared = counterfactual(lived, deal, 2, 4, against=bare)
    own = compared.units(np.array([product]))
    rivals = (catalogue.need == catalogue.need[product]) & (np.arange(150) != product)
    lost = compared.units(np.flatnonzero(rivals))
    assert own.difference > 0 > lost.difference
    assert -lost.difference < own.difference


def test_the_value_of_a_customer_is_that_of_a_future_with_all_others(lived):
    """Losing one household alone costs what the future in which all are lost says of it."""
    value = customer_value(lived, 4, 2)
    held = Held.of(lived, 4, 2)
    everyone = live_on(lived, held, 4, 2).household_profit
    who = int(np.argmax(value.profit))
    without = lived.copy()
    without.memory.lost[who] = True
    alone = live_on(without, held, 4, 2).household_profit
    assert value.profit[who] == pytest.approx(everyone[:, who].mean())
    assert value.profit_if_lost[who] == pytest.approx(alone[:, who].mean())
    others = np.arange(everyone.shape[1]) != who
    assert np.array_equal(alone[:, others], everyone[:, others])
    assert value.cost_of_losing[who] > 2 * value.standard_error[who] > 0


def test_an_elasticity_by_hand():
    """Two products of one label; the first moves by log 1.2 and its units by a fifth."""
    level = Level(
        np.array([[1, 0]]), np.array([0, 1]), np.array([0, 0]), np.array([0, 1]), np.array([0, 0])
    )
    units = np.array([[[[[90.0, 55.0]], [[110.0, 45.0]]]]])  # one repetition, move and class
    step = np.array([[[0.2, 0.0]]])
    found = estimate(level, units, step, 1)
    assert found.value == pytest.approx([-1.0, 1.0])
    assert found.by_class[:, 0] == pytest.approx([-1.0, 1.0])
    assert np.isnan(found.standard_error).all()


@pytest.fixture(scope="module")
def measured(lived):
    """By expected purchases and by re-running, of the same week."""
    expected = [week_elasticities(lived.copy(run), 1) for run in range(6)]
    again = {name: elasticities(lived, name, 1, 24) for name in ("product", "need", "chain")}
    return expected, again


@pytest.mark.parametrize("level", ["need", "chain"])
def test_expected_purchases_give_what_re_running_gives(measured, level):
    expected, again = measured
    value = np.mean([e[level].value for e in expected], axis=0)
    off = (value - again[level].value) / again[level].standard_error
    assert np.sqrt(np.nanmean(off**2)) < 1.6
    assert abs(np.nanmedian(off)) < 1
    assert (again[level].sold == expected[0][level].sold).all()


def test_products_elasticities_agree_and_have_their_signs(measured, lived):
    expected, again = measured
    again = again["product"]
    value = np.mean([e["product"].value for e in expected], axis=0)
    units = live_on(lived, None, 1, 4).units.mean((0, 1))
    large = np.flatnonzero(units > np.quantile(units, 0.8))
    for own in (True, False):
        chosen = ((again.sold == again.priced) == own) & np.isin(again.sold, large)
        x, y = value[chosen], again.value[chosen]
        assert 0.88 < (x @ y) / (x @ x) < 1.12
        assert np.corrcoef(x, y)[0, 1] > (0.9 if own else 0.8)
        assert np.median(x) < -1 if own else np.median(x) > 0.05
    # The most sensitive class, first, answers most.
    assert (np.diff(expected[0]["chain"].by_class[0]) > 0).all()
