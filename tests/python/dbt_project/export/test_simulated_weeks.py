"""Real trips of nine weeks, written as if they were simulated, come back as they were."""

from __future__ import annotations

import json

import numpy as np
import pytest
from futures import SPLIT

from dbt_project import prepare_tensor_cache
from simulator.fidelity.simulated import read_simulated
from simulator.fidelity.trip_sets import TripSet
from simulator.fidelity.window import Window
from simulator.history import join_history
from simulator.lgsr import write_receipts
from simulator.receipts import Receipts
from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.features.plans import UNKNOWN_STORE

START, WEEKS = 95, 9
LATER = 118
"""The first week after the chain's calendar."""


def recorded(cache: TensorCache) -> Receipts:
    """The cache's trips of the weeks, of customers with a history; what was paid is split evenly
    among the items."""
    week, offsets = cache["trips.week"].astype(int), cache["customers.trip_offsets"].astype(int)
    customer = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    has_history = (week[offsets[:-1]] <= START)[customer]
    trips = np.flatnonzero(has_history & (week > START) & (week <= START + WEEKS))
    trips = trips[np.argsort(week[trips], kind="stable")]
    found = TripSet.read(cache, trips)
    place = np.arange(found.items.sum()) - np.repeat(found.item_offsets[:-1], found.items)
    spend, items = np.repeat(found.spend, found.items), np.repeat(found.items, found.items)
    return Receipts(
        customer=customer[trips], week=week[trips], day=cache["days.date"][found.day].astype(int),
        hour=found.hour, store=found.store, kind=found.kind, items=found.items, token=found.token,
        quantity=found.quantity, pence=spend // items + (place < spend % items),
    )  # fmt: skip


def with_strangers(receipts: Receipts, cache: TensorCache) -> Receipts:
    """Also one anonymous trip and one of someone new, after the calendar's end, with a product
    and a category of each level; in a store that the cache lacks."""
    level = cache["categories.level"]
    row = np.array([np.flatnonzero(level == n)[-1] for n in range(4)])
    token = np.concatenate([[7], cache.vocabulary.fallback(row)])
    monday = int(cache["days.date"][cache["days.week"] == LATER][0])
    more = {
        "customer": [-1, -2], "week": [LATER, LATER], "day": [monday, monday + 6],
        "hour": [9, 22], "store": [UNKNOWN_STORE] * 2, "kind": [[0] * 4, [1, 2, 3, 4]],
        "items": [5, 5], "token": [*token, *token], "quantity": range(1, 11),
        "pence": [100] * 10,
    }  # fmt: skip
    return Receipts(
        **{name: np.concatenate([getattr(receipts, name), rows]) for name, rows in more.items()}
    )


@pytest.fixture(scope="module")
def simulated(default_cache, chain, dbt, shared):
    """The warehouse of history + simulated weeks, built with all data tests, and its cache."""

    def make(folder):
        raw = folder / "raw"
        write_receipts(with_strangers(recorded(default_cache), default_cache), default_cache, raw)
        join_history(chain, raw, START)
        result = dbt("build", "--vars", json.dumps(SPLIT), raw=raw)
        assert result.returncode == 0, result.output
        prepare_tensor_cache(result.path, folder / "cache", like=default_cache.folder)
        result.path.rename(folder / "warehouse.duckdb")

    return shared("simulated_weeks", make)


@pytest.fixture
def rows(simulated):
    """`rows(query)` of its warehouse."""
    import duckdb

    with duckdb.connect(str(simulated / "warehouse.duckdb"), read_only=True) as connection:
        yield lambda query: connection.execute(query).fetchall()


def test_the_trips_come_back(simulated, default_cache):
    """Customer, day, hour, store, kind, spend, products and quantities; the history as it was."""
    window = Window(default_cache, START, WEEKS)
    found = read_simulated(simulated / "cache", window)
    assert len(found) == len(window.real) > 500
    for name in ("customer", "day", "hour", "store", "kind", "spend", "items", "token", "quantity"):
        assert np.array_equal(getattr(found, name), getattr(window.real, name)), name


def test_strangers_come_back(simulated, default_cache):
    """A category of any level has its own token again, in a week that follows the calendar."""
    cache = TensorCache(simulated / "cache")
    assert cache.split == {**default_cache.split, "later": (LATER, LATER)}
    assert cache["weeks.shop_week"].tolist() == [*default_cache["weeks.shop_week"], 200820]
    (customer,) = np.flatnonzero(cache["customers.code"] == b"CUSTSIM0000001")
    first, last = cache["customers.trip_offsets"][customer : customer + 2]
    assert last - first == 1
    expected = with_strangers(recorded(default_cache), default_cache)
    begin, end = cache["trips.item_offsets"][first : first + 2]
    assert cache["items.token"][begin:end].tolist() == expected.token[-5:].tolist()
    assert cache["items.quantity"][begin:end].tolist() == [6, 7, 8, 9, 10]
    assert cache["stores.code"][cache["trips.store"][first]] == b"STORESIM"
    assert [cache[f"trips.{name}"][first] for name in CONTEXT] == [1, 2, 3, 4]
    assert cache["days.date"][cache["trips.day"][first]] == expected.day[-1]
    assert cache.manifest["totals"]["later"] == {
        who: {"trips": 1, "items": 5, "spend_pence": 500} for who in ("identified", "anonymous")
    }


def test_the_marts_mark_them(rows):
    assert rows("select bool_and(is_simulated = (week > 95)) from trips") == [(True,)]
    simulated = [(week,) for week in (*range(START + 1, START + WEEKS + 1), LATER)]
    assert rows("select week from weeks where is_simulated order by week") == simulated
    assert rows("select customer_code from customers where is_simulated") == [("CUSTSIM0000001",)]


def test_an_untold_split_is_that_of_the_history(simulated, dbt):
    """Of 95 weeks: round(.68 x 95), round(.81 x 95)."""
    result = dbt("run", "--select", "+int_split", raw=simulated / "raw")
    assert result.returncode == 0, result.output
    assert result.rows("select * from int_split") == [(65, 77, 95, 95)]
