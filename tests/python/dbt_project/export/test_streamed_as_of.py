"""Figures of a customer kept up trip by trip, against those that the warehouse worked out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from trainer.cache.rows import customer_of
from trainer.features.as_of import AsOfSettings
from trainer.features.chain import Chain
from trainer.features.chain_sales import chain_sales_after
from trainer.features.columns import AFFINITY_COLUMNS, HISTORY_COLUMNS, read_numbers
from trainer.features.customers import CustomerFeatures
from trainer.features.replay import finished_trips

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def replayed(default_cache):
    """All trips of the default chain's customers, observed one after the other: every row of
    customer_weeks as of its week, and whether each trip was cold start."""
    cache = default_cache
    rows, weeks = cache["customer_weeks.customer"], cache["customer_weeks.week"]
    first_days = cache["days.date"][np.searchsorted(cache["days.week"], weeks)]
    trips = list(finished_trips(cache, np.arange(cache.rows("trips"))))
    customers = customer_of(cache, np.arange(len(trips)))
    chain = Chain(cache, chain_sales_after(cache, 0))
    records, is_cold_start = [], []
    for customer in range(cache.rows("customers")):
        features = CustomerFeatures(chain)
        state = features.aggregates
        left = [
            (cache["trips.week"][row], trips[row]) for row in np.flatnonzero(customers == customer)
        ]
        for row in np.flatnonzero(rows == customer):
            records.append(state.as_of(weeks[row], first_days[row]))
            while left and left[0][0] <= weeks[row]:
                is_cold_start.append(state.is_cold_start)
                features.observe(left.pop(0)[1])
            # Trips of the week do not count in it: the answer after them is the same.
            assert state.as_of(weeks[row], first_days[row]).tobytes() == records[-1].tobytes()
        assert not left
    return np.stack(records), np.array(is_cold_start)


def test_settings_are_those_of_the_warehouse():
    project = yaml.safe_load((ROOT / "dbt_project.yml").read_text())
    for name, value in vars(AsOfSettings()).items():
        assert project["vars"][name] == value, name


def test_every_row_as_of_a_week_is_equal_to_the_bit(default_cache, replayed):
    records, _ = replayed
    assert len(records) == default_cache.rows("customer_weeks")
    for name in records.dtype.names:
        stored = default_cache[name]
        assert stored.dtype.kind == "u" or stored.dtype == records[name].dtype
        np.testing.assert_array_equal(records[name], stored, err_msg=name)
        assert len(np.unique(records[name])) > 1, name


def test_cold_starts_are_those_of_the_cache(default_cache, replayed):
    _, is_cold_start = replayed
    np.testing.assert_array_equal(is_cold_start, default_cache["trips.is_cold_start"])


def test_the_inputs_of_the_model_are_read_from_either(default_cache, replayed):
    records, _ = replayed
    for columns in (HISTORY_COLUMNS, AFFINITY_COLUMNS):
        np.testing.assert_array_equal(
            read_numbers(records, columns, slice(None)),
            read_numbers(default_cache, columns, slice(None)),
        )
