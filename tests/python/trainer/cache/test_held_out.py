"""Customers held out of training: how they are chosen, and that nothing is learned from them."""

from __future__ import annotations

import numpy as np
import torch
from toy import TRAIN_LAST, toy_columns, toy_manifest

from trainer.batches.timelines import WorldModelDataset
from trainer.cache.held_out import held_out, training_trips
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.model.purchases.counting_prior import CountingPrior
from trainer.model.world_model import create_world_model


def cache_of(folder, columns) -> TensorCache:
    write_cache(folder, columns, toy_manifest())
    return TensorCache(folder)


def test_about_one_in_ten_by_code_alone(tmp_path):
    columns = toy_columns(trips_of=[1] * 3000)
    cache = cache_of(tmp_path / "all", columns)
    is_held_out = held_out(cache)
    assert 0.08 < is_held_out.mean() < 0.12
    some = toy_columns(trips_of=[1] * 500)
    some["customers.code"] = columns["customers.code"][1000:1500]
    assert np.array_equal(held_out(cache_of(tmp_path / "some", some)), is_held_out[1000:1500])


def test_trips_of_held_out_customers_are_not_for_training(tmp_path):
    cache = cache_of(tmp_path / "cache", toy_columns(customers=40))
    is_held_out, first = held_out(cache), cache["customers.trip_offsets"].astype(int)
    assert is_held_out.any()
    rows = training_trips(cache)
    assert (cache["trips.week"][rows] <= TRAIN_LAST).all()
    customer = np.searchsorted(first, rows, side="right") - 1
    assert not is_held_out[customer].any()
    others = training_trips(cache, is_held_out)
    assert len(rows) + len(others) == (cache["trips.week"] <= TRAIN_LAST).sum()
    assert not is_held_out[WorldModelDataset(cache).customers].any()
    for split in ("validation", "test"):
        assert is_held_out[WorldModelDataset(cache, split).customers].any()


def test_lifts_and_constants_do_not_depend_on_held_out_customers(tmp_path):
    columns = toy_columns(customers=40)
    one = cache_of(tmp_path / "one", columns)
    is_held_out = held_out(one)
    changed = dict(columns)
    of_trip = np.repeat(is_held_out, np.diff(columns["customers.trip_offsets"].astype(int)))
    of_item = np.repeat(of_trip, np.diff(columns["trips.item_offsets"].astype(int)))
    of_week = is_held_out[columns["customer_weeks.customer"]]
    assert of_week.any()
    changed["items.token"] = np.where(of_item, 1, columns["items.token"])
    changed["trips.focus"] = np.where(of_trip, 4 - columns["trips.focus"], columns["trips.focus"])
    for name in ("customer_weeks.items_per_trip", "customer_weeks.recency_days"):
        values = columns[name]
        changed[name] = np.where(of_week, values * 2 + 1, values).astype(values.dtype)
    other = cache_of(tmp_path / "other", changed)
    assert torch.equal(CountingPrior(one).lift, CountingPrior(other).lift)
    states = []
    for cache in (one, other):
        torch.manual_seed(0)
        states.append(create_world_model("tiny", cache).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
