"""Nothing in the cache sees the future: drop or scramble all rows from a week on, rebuild, export,
and what the cache says of earlier weeks is the same to the bit.
"""

from __future__ import annotations

import numpy as np
import pytest
from futures import cut, scramble

from dbt_project import prepare_tensor_cache
from trainer.cache.reader import TensorCache
from trainer.cache.schema import COLUMN, COLUMNS, STATIC_TABLES

STATIC = [column.name for column in COLUMNS if column.table in STATIC_TABLES]
LINKS = {"trips.customer_week", "trips.day", "trips.item_offsets"}


def spans(offsets: np.ndarray) -> np.ndarray:
    """Row of the coarser table for each row of the finer one."""
    lengths = np.diff(offsets.astype(np.int64))
    return np.repeat(np.arange(len(lengths)), lengths)


def rows_before(cache: TensorCache, week: int) -> dict[str, np.ndarray]:
    """Everything said about weeks before `week`, with row numbers of other tables looked up."""
    found = {}
    of_trip = np.array(cache["trips.week"]) < week
    of_item = of_trip[spans(cache["trips.item_offsets"])]
    of_customer_week = np.array(cache["customer_weeks.week"]) < week
    customer_of_trip = spans(cache["customers.trip_offsets"])
    of_customer = np.isin(np.arange(cache.rows("customers")), customer_of_trip[of_trip])
    kept = {
        "customers": of_customer, "trips": of_trip, "items": of_item,
        "customer_weeks": of_customer_week, "weeks": np.arange(cache.rows("weeks")) < week - 1,
        "days": np.array(cache["days.week"]) < week,
        "anonymous_prices": np.array(cache["anonymous_prices.week"]) < week,
        "promotions": np.array(cache["promotions.week"]) < week,
    }  # fmt: skip
    for column in COLUMNS:
        if column.table in kept and not column.is_offsets and column.name not in LINKS:
            found[column.name] = np.array(cache[column.name])[kept[column.table]]
    del found["items.price"], found["customer_weeks.customer"]
    for table in ("anonymous_prices", "promotions"):
        for name in ("product", "store"):
            row = found.pop(f"{table}.{name}")
            found[f"{name} of {table}"] = np.array(cache[f"{name}s.code"])[row]
    price = cache["items.price"][of_item]
    for name in ("pence", "previous_pence", "base_pence"):
        found[f"shelf_prices.{name}"] = cache[f"shelf_prices.{name}"][price]
    codes = np.array(cache["customers.code"])
    found["customer of trip"] = codes[customer_of_trip][of_trip]
    found["customer of as-of row"] = codes[cache["customer_weeks.customer"]][of_customer_week]
    found["date of trip"] = cache["days.date"][cache["trips.day"]][of_trip]
    found["as-of week of trip"] = cache["customer_weeks.week"][cache["trips.customer_week"]][
        of_trip
    ]
    found["items of trip"] = np.diff(cache["trips.item_offsets"].astype(np.int64))[of_trip]
    return found


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.fixture(params=[(change, week) for change in (cut, scramble) for week in (81, 100)],
                ids=lambda p: f"{p[0].__name__}-{p[1]}")  # fmt: skip
def future(request, changed_future):
    """A changed warehouse and the first changed week."""
    change, week = request.param
    return changed_future(change, week), week


def test_rows_of_earlier_weeks_are_the_same_in_the_words_of_the_first(
    future, default_cache, tmp_path
):
    changed, week = future
    prepare_tensor_cache(changed.path, tmp_path / "cache", like=default_cache.folder)
    cache = TensorCache(tmp_path / "cache")
    before = rows_before(default_cache, week)
    assert len(before["trips.week"]) > 1000
    assert_same(rows_before(cache, week), before)
    for name in STATIC:
        np.testing.assert_array_equal(cache[name], default_cache[name], err_msg=name)
    assert (cache.labels, cache.split) == (default_cache.labels, default_cache.split)


def static_by_code(cache: TensorCache, warehouse, week: int) -> dict[str, dict]:
    """What the static tables say of products, categories and stores seen before `week`."""
    nodes = np.concatenate([cache["products.code"], cache["categories.code"]]).astype(str)
    levels = np.concatenate([np.full(cache.products, -1), cache["categories.level"].astype(int)])
    node = list(zip(levels.tolist(), nodes.tolist(), strict=True))
    category = node[cache.products :]
    tables = {}
    for table, links in (("products", {"category"}), ("stores", set())):
        codes = warehouse.rows(f"select {table[:-1]}_code from {table} where first_week < {week}")
        names = [n for n in STATIC if n.startswith(f"{table}.") and n.split(".")[1] not in links]
        rows = zip(*(cache[name].tolist() for name in names), strict=True)
        by_code = dict(zip(cache[f"{table}.code"].astype(str).tolist(), rows, strict=True))
        tables[table] = {code: by_code[code] for (code,) in codes}
    known = {code.encode() for code in tables["products"]}
    rows = [r for r, code in enumerate(cache["products.code"].tolist()) if code in known]
    finest = cache["products.category"][rows]
    tables["category of product"] = {
        node[r]: category[c] for r, c in zip(rows, finest, strict=True)
    }
    tables["categories"] = {}
    for row in set(finest.tolist()):
        while row >= 0:
            parent = int(cache["categories.parent"][row])
            tables["categories"][category[row]] = (
                category[parent] if parent >= 0 else None,
                bool(cache["categories.is_novel"][row]),
                float(cache["categories.pence"][row]),
            )
            row = parent
    tables["graph"] = {
        (node[source], node[target], kind): weight
        for source, target, kind, weight in zip(
            *(cache[f"graph.{name}"].tolist() for name in ("source", "target", "type", "weight")),
            strict=True,
        )
    }
    return tables


def test_static_tables_are_the_same_by_code(future, default_cache, warehouse, tmp_path):
    changed, week = future
    prepare_tensor_cache(changed.path, tmp_path / "cache")
    cache = TensorCache(tmp_path / "cache")
    assert cache.labels == default_cache.labels
    found, expected = (static_by_code(c, warehouse, week) for c in (cache, default_cache))
    assert found == expected
    assert all(len(rows) > 10 for rows in expected.values())


def test_the_scramble_changes_what_follows(changed_future, default_cache, tmp_path):
    """Otherwise the tests above could not fail: new products, other baskets."""
    changed = changed_future(scramble, 100)
    prepare_tensor_cache(changed.path, tmp_path / "cache", like=default_cache.folder)
    cache = TensorCache(tmp_path / "cache")
    assert cache.manifest["unmapped"]["items"] > 100
    assert (cache["items.token"] >= cache.vocabulary.size).sum() > 100
    with pytest.raises(AssertionError):
        assert_same(rows_before(cache, 101), rows_before(default_cache, 101))
    plain = prepare_tensor_cache(changed.path, tmp_path / "plain")
    assert plain.products > default_cache.products
    assert set(COLUMN) == {path.stem for path in plain.folder.glob("*.npy")}
