"""What a cache holds of a customer is what observing its trips one by one gives."""

from __future__ import annotations

import numpy as np
import pytest
from toy import WEEKS, toy_columns, toy_manifest

from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.features.chain import Chain
from trainer.features.chain_sales import chain_sales_after
from trainer.features.customers import CustomerFeatures
from trainer.features.recorded import recorded_customers, recorded_trips
from trainer.features.replay import finished_trips


@pytest.fixture(scope="module", params=[(0, 40), (1, 6)], ids=["many products", "few"])
def cache(request, tmp_path_factory):
    """Customers with no trip, one, and more than `HISTORY_TRIPS`, with several a day."""
    seed, products = request.param
    columns = toy_columns(trips_of=[30, 1, 1100, 2, 0, 90, 14, 210], seed=seed, products=products)
    columns["trips.hour"][:] = 12  # those of a day are in no order
    folder = tmp_path_factory.mktemp("cache")
    write_cache(folder, columns, toy_manifest())
    return TensorCache(folder)


@pytest.fixture(scope="module")
def chain(cache):
    return Chain(cache, chain_sales_after(cache, 0))


def replayed(cache, chain, customer, last_week):
    rows, _ = recorded_trips(cache, [customer], last_week)
    codes = (cache[f"customers.{n}"][customer] for n in ("price_sensitivity", "lifestage"))
    features = CustomerFeatures(chain, tuple(map(int, codes)))
    for trip in finished_trips(cache, rows):
        features.observe(trip)
    return features


@pytest.mark.parametrize("last_week", [WEEKS, 13, 1])
def test_all_at_once_equals_trip_by_trip(cache, chain, last_week):
    customers = np.random.default_rng(0).permutation(cache.rows("customers"))
    found = recorded_customers(chain, cache, customers, last_week)
    for customer, features in zip(customers, found, strict=True):
        expected = replayed(cache, chain, customer, last_week)
        assert (features.trips, features.last) == (expected.trips, expected.last)
        one, other = features.to_arrays(), expected.to_arrays()
        assert one.keys() == other.keys()
        for name, values in other.items():
            assert values.dtype == one[name].dtype, name
            np.testing.assert_array_equal(one[name], values, err_msg=name)


def test_no_later_week_is_read(cache, chain):
    rows, lengths = recorded_trips(cache, [0, 5], 13)
    assert cache["trips.week"][rows].max() <= 13
    every, _ = recorded_trips(cache, [0, 5], WEEKS)
    assert 0 < len(rows) == lengths.sum() == (cache["trips.week"][every] <= 13).sum()
