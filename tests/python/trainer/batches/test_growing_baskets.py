"""Baskets that grow ask what plans with the same visible items ask."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
import pytest
import torch
from toy import WEEKS, toy_cache

from trainer.batches.growing_baskets import GrowingBaskets
from trainer.features.calendar import EPOCH
from trainer.features.chain import Chain
from trainer.features.chain_sales import chain_sales_after
from trainer.features.plans import TripPlan
from trainer.features.shelf_prices import ShelfPrices
from trainer.model.state import CustomerState, recorded_states
from trainer.model.world_model import create_world_model


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    cache = toy_cache(tmp_path_factory.mktemp("growing") / "cache", trips_of=[30, 1, 12], seed=3)
    chain = Chain(cache, chain_sales_after(cache, WEEKS), ShelfPrices.from_cache(cache))
    states = [*recorded_states(chain, cache, [0, 1, 2], WEEKS), CustomerState(chain)]
    return create_world_model("tiny", cache).eval(), states


def assert_same(found, expected, path="questions"):
    if isinstance(found, torch.Tensor):
        assert found.dtype == expected.dtype, path
        torch.testing.assert_close(found, expected, rtol=0, atol=0, msg=path)
    elif hasattr(found, "__dataclass_fields__"):
        for field in fields(found):
            assert_same(
                getattr(found, field.name), getattr(expected, field.name), f"{path}.{field.name}"
            )
    elif isinstance(found, (tuple, list)):
        assert len(found) == len(expected), path
        for number, pair in enumerate(zip(found, expected, strict=True)):
            assert_same(*pair, f"{path}[{number}]")
    else:
        assert found == expected, path


def test_they_are_those_of_plans_with_visible_items(chain):
    model, states = chain
    chain, customers = states[0].chain, [state.features for state in states]
    day = EPOCH + timedelta(chain.calendar.first_day(WEEKS + 1) + 2)
    plans = [TripPlan(day, 10 + row, row % 2, (1, 0, 1, 0)) for row in range(len(customers))]
    baskets = GrowingBaskets(model.questions(states, plans)[1], customers)
    own = customers[0].log.tokens
    rng = np.random.default_rng(1)
    for step in range(4):
        visible = np.array([[t for t in plan.visible] for plan in plans], np.int64)
        token = np.array(
            [
                rng.choice([t for t in (*own.tolist(), 1, 2, 3, 4, 5, 6)
                            if chain.vocabulary.is_product(np.array([t]))[0] and t not in row])
                for row in visible.reshape(len(plans), step)
            ]
        )  # fmt: skip
        week = np.full(len(plans), WEEKS + 1)
        pence = chain.prices.at(token, np.array([p.store for p in plans]), week)
        baskets.add(torch.from_numpy(token), torch.from_numpy(pence.astype(np.float32)))
        plans = [
            replace(plan, visible=(*plan.visible, int(new)))
            for plan, new in zip(plans, token, strict=True)
        ]
        assert_same(baskets.questions, model.questions(states, plans)[1])


def test_baskets_begin_empty(chain):
    model, states = chain
    day = EPOCH + timedelta(states[0].chain.calendar.first_day(WEEKS + 1))
    _, questions = model.questions(states[:1], [TripPlan(day, 9, 0, visible=(1,))])
    with pytest.raises(ValueError, match="without visible items"):
        GrowingBaskets(questions, [states[0].features])
