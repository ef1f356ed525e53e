"""What planned prices do to a simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_prices import response_of
from toy_start import START

from simulator.planned_prices import PriceChange
from simulator.price_effects import PriceEffects
from simulator.scenario import Scenario
from simulator.simulation import Simulator


class Prices:
    """100 pence everywhere, times what is planned by token in some weeks."""

    def __init__(self, factor=None, weeks=range(0)):
        self.factor, self.weeks = factor or {}, weeks

    def at(self, token, store, week):
        held = np.array([self.factor.get(int(t), 1.0) for t in token])
        now = 100 * (held if int(week) in self.weeks else np.ones(len(token)))
        return np.stack([now, now, now], axis=-1)

    def announced(self, token, store, week):
        """Token 1 is on display in the weeks of the plan."""
        on = (token == 1) & (int(week) in self.weeks)
        return np.stack([on, np.zeros(len(token), bool)])


def effects(response, factor, weeks=range(11, 13)) -> PriceEffects:
    """Of a plan from week 11 on, after a start in week 10."""
    return PriceEffects(response, (Prices(), Prices(factor, weeks)), 10)


def log_weights(found: PriceEffects, week: int) -> np.ndarray:
    return found.log_weights(np.array([0]), week, np.array([0]))[0].numpy()


def test_a_dearer_product_loses_to_its_need_and_the_need_to_none():
    found = effects(response_of([3, 3, 3], [0, 0, 1], lasting=0.5), {1: 1.1})
    move = np.log(1.1)
    value = np.log((np.exp(-3 * move) + 1) / 2)
    expected = [0, -3 * move - value - 0.5 * move, -value, 0, 0, 0]
    assert log_weights(found, 11) == pytest.approx(expected, abs=1e-6)
    assert log_weights(effects(response_of([3], [0]), {}), 11).tolist() == [0] * 4


def test_the_reference_price_follows_and_what_was_stocked_up_is_missing():
    response = response_of([0], [0], passing=1.0, stocking=1.0, quantity=0.5)
    found = effects(response, {1: 0.8})
    off = -np.log(0.8)
    assert log_weights(found, 11)[1] == pytest.approx(off)
    second = off - 0.12 * off - 0.7 * (0.8**-0.5 - 1)
    assert log_weights(found, 12)[1] == pytest.approx(second)
    assert log_weights(found, 13)[1] < 0  # the price is back, and cupboards are full


def test_display_draws_from_the_need():
    found = effects(response_of([0, 0, 0], [0, 0, 1], display=0.4), {})
    value = np.log((np.exp(0.4) + 1) / 2)
    assert log_weights(found, 11)[1:4] == pytest.approx([0.4 - value, -value, 0])
    assert log_weights(found, 13).tolist() == [0] * 6


def test_units_answer_to_the_price_over_the_reference():
    found = effects(response_of([0, 0], [0, 1], quantity=0.5), {1: 0.8})
    factors = found.unit_factors(np.array([1, 2, 3]), np.array([0, 0, 0]), 11)
    assert factors == pytest.approx([0.8**-0.5, 1, 1])
    dearer = effects(response_of([0], [0], quantity=0.5), {1: 1.2})
    assert dearer.unit_factors(np.array([1]), np.array([0]), 11) == pytest.approx([1])


def test_customers_learn_what_their_basket_costs():
    """Half of the basket is a tenth dearer; a new customer has nothing to compare with."""
    found = effects(response_of([0, 0], [0, 1], visits=2.0), {1: 1.1})
    level = 0.5 * np.log(1.1)
    assert found.visit_factors(np.array([0, -2]), 11) == pytest.approx([1, 1])
    learnt = np.exp(-2 * 0.15 * level)
    assert found.visit_factors(np.array([0, -2]), 12) == pytest.approx([learnt, 1])


@pytest.fixture(scope="module")
def answering(chain):
    """A simulator whose customers answer to prices as one says, whatever the receipts do."""
    cache, model = chain
    simulator = Simulator(model, cache, START)
    products = cache.products
    response = response_of(np.zeros(products), np.arange(products), lasting=1.0)
    customers = np.zeros(cache.rows("customers"), int)
    simulator.__dict__["demand"] = replace(
        response, segment=customers, store=customers, baskets=response.baskets[customers],
        groups=np.ones(len(cache.labels["price_sensitivity"]) + 1),
    )  # fmt: skip
    return simulator


def everywhere(simulator, factor: float) -> Scenario:
    cache = simulator.cache
    every = np.ones(cache.vocabulary.input_size, bool), np.ones(cache.rows("stores"), bool)
    return Scenario(prices=[PriceChange(*every, START + 1, START + 4, factor)])


def test_baskets_shrink_with_prices_and_grow_with_discounts(answering):
    items = [
        sum(len(answering.run(4, seed, everywhere(answering, factor)).token) for seed in range(3))
        for factor in (1.5, 1.0, 0.75)
    ]
    assert items[0] / items[1] == pytest.approx(1 / 1.5, abs=0.06)
    assert items[2] / items[1] == pytest.approx(1 / 0.75, abs=0.1)


def test_a_plan_that_keeps_all_prices_changes_nothing(answering):
    same, plain = answering.run(4, 0, everywhere(answering, 1.0)), answering.run(4, 0)
    assert np.array_equal(same.token, plain.token) and np.array_equal(same.day, plain.day)


def test_trips_of_which_nothing_is_left_are_none(answering):
    receipts = answering.run(4, 0, everywhere(answering, 20.0))
    assert len(receipts.items) and receipts.items.min() >= 1
    assert len(receipts.customer) < len(answering.run(4, 0).customer)
