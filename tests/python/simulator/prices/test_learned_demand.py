"""Demand in the learned world is the one that `simulator.prices` measures and optimises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up_prices import response_of
from test_expected_demand import Demand
from toy_knowledge import knowledge, with_sure_sales

from simulator.environments.learned.learn import _effects, _repeated
from simulator.environments.learned.world import LearnedWorld

EFFECTS = {"lasting": 0.5, "passing": 0.3, "stocking": 0.6, "visits": 1.5}
QUANTITY = 0.3


def crowd(customers: int = 3000):
    """Many customers of one segment who come often, so that counts are as good as their means."""
    k = with_sure_sales(knowledge(customers=customers))
    return replace(
        k, segment=np.zeros(customers, int), factor=np.ones(1), rate=np.full(customers, 8.0),
        of_need=np.array([*EFFECTS.values()]), quantity=np.full(k.listed.size, QUANTITY),
        further=np.ones(k.listed.size),
        units_a_trip=np.full(k.listed.size, 2.0),
        usual=np.full(k.listed.size, 100.0), regular=np.full_like(k.regular, 100.0),
        listed=np.full(k.listed.size, 100.0),
    )  # fmt: skip


@pytest.mark.parametrize("weeks", [1, 12])
def test_prices_that_are_held_sell_what_is_expected(weeks):
    k = crowd()
    regular = np.random.default_rng(1).integers(80, 126, k.listed.size)
    still, held = LearnedWorld(k, weeks, 1), LearnedWorld(k, weeks, 1)
    plan = still.plan()
    before = sum(still.step(plan).units for _ in range(weeks))
    after = sum(held.step(replace(plan, regular=regular)).units for _ in range(weeks))
    demand = Demand(
        response_of(k.switching, k.need, share=k.share, quantity=QUANTITY, **EFFECTS), weeks
    )
    change = torch.tensor(np.log(regular / 100))
    expected = (demand.units(change) / demand.units(change * 0)).numpy()

    assert after / before == pytest.approx(expected, rel=0.01)


def test_what_the_past_left_behind_is_what_living_it_would_have():
    """Reference prices and stocks of a history, and of the same weeks lived."""
    k = crowd(50)
    rng = np.random.default_rng(2)
    regular = rng.integers(70, 131, (k.listed.size, 9))
    world = LearnedWorld(k, 9, 1)
    for week in range(9):
        world.step(replace(world.plan(), regular=regular[:, week]))
    x, reference, stock = _effects(
        np.log(regular / 100), k.need, k.share, k.switching, k.quantity, k.further, k.of_need, True
    )

    assert x.shape == regular.shape
    assert reference == pytest.approx(world.reference)
    assert stock == pytest.approx(world.stock)


def test_a_season_is_believed_as_far_as_it_came_again():
    wave = np.sin(np.arange(104) * 2 * np.pi / 52)[None]
    noise = np.random.default_rng(3).normal(size=(40, 104))

    assert _repeated(wave) == pytest.approx(wave[:, :52])
    assert np.abs(_repeated(noise)).mean() < 0.3 * np.abs(noise).mean()
    both = _repeated(wave + noise)
    assert np.corrcoef(both.mean(0), wave[0, :52])[0, 1] > 0.9
