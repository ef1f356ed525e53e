"""What reaches the cache is what the warehouse holds, or the export stops and names it."""

from __future__ import annotations

import re

import duckdb
import numpy as np
import pytest
import tiny

from dbt_project.export import ExportError, prepare_tensor_cache
from dbt_project.export.timelines import PriceRows
from dbt_project.export.totals import check_tables
from dbt_project.export.warehouse import open_tables
from trainer.cache.reader import CacheError, TensorCache
from trainer.cache.schema import MAX_PRICE, MAX_TEXT
from trainer.cache.writer import write_cache


@pytest.fixture
def changed(write_tiny, tmp_path):
    """`changed(model, "column = value where ...")` is a warehouse with a cache model changed."""

    def database(model: str, change: str):
        path = write_tiny(tmp_path / "warehouse.duckdb", tiny.tables())
        with duckdb.connect(str(path)) as connection:
            connection.execute(f"create table changed as from {model}")
            if model == "cache_trips":
                connection.execute("alter table changed alter basket_id type varchar")
            connection.execute(f"drop view {model}")
            connection.execute(f"alter table changed rename to {model}")
            connection.execute(f"update {model} set {change}")
        return path

    return database


@pytest.fixture
def stops(changed, tmp_path):
    """`stops(model, change)` is the message with which the export of it stops."""

    def message(model: str, change: str) -> str:
        with pytest.raises((ExportError, CacheError)) as error:
            prepare_tensor_cache(changed(model, change), tmp_path / "cache")
        assert not (tmp_path / "cache").exists()
        assert "\n" not in str(error.value)
        return str(error.value)

    return message


IDS = {
    9002: "0009002", 9004: "9002", 9005: "12345678901234567890123", 9007: "R-17/b", 9003: "Zoë",
    9008: "+5", 9006: "5.0",
}  # fmt: skip


def test_basket_ids_are_any_text(changed, tmp_path):
    """Twenty digits and more, leading zeros, letters: each as it is, in the order of trips."""
    names = " ".join(f"when '{key}' then '{text}'" for key, text in IDS.items())
    database = changed("cache_trips", f"basket_id = case basket_id::varchar {names} end")
    prepare_tensor_cache(database, tmp_path / "cache")
    cache = TensorCache(tmp_path / "cache")
    assert [text.decode() for text in cache["trips.basket_id"]] == list(IDS.values())


def test_codes_of_all_widths(export, tiny_cache):
    """A store that a vocabulary lacks may have a longer code than all of its stores."""
    marts = tiny.tables()
    codes = {1: "7", 2: "0007", 3: "a customer's very long code"}
    for key, code in codes.items():
        tiny.change(marts["customers"], {"customer_key": key}, customer_code=code)
    tiny.change(marts["stores"], {"store_key": 3}, store_code="the store at the harbour")
    cache = export(marts, like=tiny_cache.folder)
    assert [code.decode() for code in cache["customers.code"]] == list(codes.values())
    known = tiny_cache["stores.code"].tolist()
    assert cache["stores.code"].tolist() == [*known, b"the store at the harbour"]
    assert cache["trips.store"][-1] == len(known)


@pytest.mark.parametrize(
    ("model", "column"),
    [
        ("cache_trips", "basket_id"), ("cache_customers", "customer_code"),
        ("cache_customers", "lifestage"), ("cache_products", "product_code"),
        ("cache_stores", "store_code"), ("cache_stores", "store_region"),
    ],
)  # fmt: skip
def test_text_that_a_cache_would_cut(stops, model, column):
    """Numpy drops NUL at the end of a text: `A` and `A` + NUL would be one customer."""
    last = f"rowid = (select max(rowid) from {model})"
    line = stops(model, f"{column} = 'A' || chr(0) where {last}")
    assert re.search(rf": {model} row \d: {column} has a NUL character, the cache holds", line)


def test_text_that_is_too_long(stops):
    line = stops("cache_trips", f"basket_id = repeat('ë', {MAX_TEXT + 1}) where trip_number = 3")
    assert "cache_trips row 2: basket_id has 1,001 characters, the cache holds texts of at " in line


def test_the_longest_text(changed, tmp_path):
    database = changed("cache_trips", f"basket_id = repeat('ë', {MAX_TEXT}) where trip_number = 3")
    prepare_tensor_cache(database, tmp_path / "cache")
    ids = TensorCache(tmp_path / "cache")["trips.basket_id"]
    assert [text.decode() for text in ids[1:3]] == ["9004", "ë" * MAX_TEXT]


@pytest.mark.parametrize(
    ("model", "change", "expected"),
    [
        (
            "cache_trips", "days_since_previous = 32768 where trip_key = 5",
            "trips.days_since_previous row 2: 32768 does not fit, .* holds -32,768 to 32,767",
        ),
        ("cache_trips", "hour = -1 where trip_key = 8", "trips.hour row 5: -1 .* holds 0 to 255"),
        ("cache_items", "quantity = -1 where trip_key = 4", "items.quantity row 2: -1 .* holds 0"),
        (
            "cache_items", f"pence = {MAX_PRICE + 1} where trip_key = 6",
            "shelf_prices.pence row 8: 16777216.0 does not fit, the cache holds 0 to 16,777,215",
        ),
        (
            "cache_items", f"base_pence = {MAX_PRICE + 2} where trip_key = 6",
            "shelf_prices.base_pence row 7: 16777216.0",
        ),
        (
            "cache_anonymous_prices", f"pence = {MAX_PRICE + 1}",
            "anonymous_prices.pence row 0: 16777216.0",
        ),
        ("cache_products", "pence = 2147483647 where product_key = 3", "products.pence row 2: 214"),
        ("cache_stores", "age_weeks = 1e39 where store_key = 2", r"stores.age_weeks row 1: 1e\+39"),
        ("cache_stores", "age_weeks = 'nan' where store_key = 2", "stores.age_weeks row 1: nan"),
        (
            "cache_customer_weeks", "consistency = 65520 where customer_key = 3",
            "customer_weeks.consistency row 8: 65520.0 .* holds -65,504 to 65,504",
        ),
        (
            "cache_customer_weeks", "department_shares = ['inf'] where customer_key = 3",
            "customer_weeks.department_shares row 8: inf",
        ),
        ("cache_categories", "level = -1 where node_key = 7", "categories.level row 1: -1"),
        ("cache_weeks", "shop_week = -1 where week = 3", "weeks.shop_week row 2: -1"),
    ],
)  # fmt: skip
def test_a_number_that_does_not_fit_is_named(stops, model, change, expected):
    assert re.match(expected, stops(model, change))


def test_the_largest_numbers(changed, tmp_path):
    """Each at the edge of its dtype, and unchanged."""
    largest = [1, 255, 256, 65535, 65536, 2**31 - 1]
    pence = [0, 1, 2**23 + 1, MAX_PRICE - 1, MAX_PRICE, 0.5]
    cases = [
        f"when ({key}, {product}) then"
        for key, product in [(2, 1), (2, 2), (4, 1), (5, 1), (5, 4), (7, 1)]
    ]
    quantity, price = (
        " ".join(f"{case} {value}" for case, value in zip(cases, values, strict=True))
        for values in (largest, pence)
    )
    database = changed(
        "cache_items",
        f"quantity = case (trip_key, product_key) {quantity} else 1 end,"
        f"pence = case (trip_key, product_key) {price} else 7 end",
    )
    prepare_tensor_cache(database, tmp_path / "cache")
    cache = TensorCache(tmp_path / "cache")
    assert cache["items.quantity"].tolist() == [1, 255, 256, 65535, 65536, 2**31 - 1, 1, 1, 1, 1]
    found = cache["shelf_prices.pence"][cache["items.price"]]
    assert found.astype(np.float64).tolist() == [*pence, 7, 7, 7, 7]


def test_more_labels_than_codes(tiny_cache, tmp_path):
    """256 store formats, where codes end at 255."""
    columns = {name: np.array(values) for name, values in tiny_cache._columns.items()}
    columns["stores.format"] = np.array([255, 256, 1])
    with pytest.raises(CacheError, match=r"stores.format row 1: 256 does not fit"):
        write_cache(tmp_path / "cache", columns, tiny_cache.manifest)


def test_prices_too_many_to_number():
    """60,000 prices of four kinds: 1.3e19 combinations."""
    with pytest.raises(ExportError, match="60,000 of a, 60,000 of b, .* more than 2"):
        PriceRows({name: np.arange(60_000) for name in "abcd"})


def test_totals_that_differ_by_a_penny(changed):
    """Beyond 2^53 double precision cannot tell the two apart."""
    large = 2**53
    database = changed(
        "cache_totals",
        f"spend_pence = {large + 1}, spend_pence_found = {large + 1} where week = 2",
    )
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"update weeks set spend_pence = {large} where week = 2")
    with (
        open_tables(database) as tables,
        pytest.raises(ExportError, match="weeks and trips differ in spend_pence"),
    ):
        check_tables(tables)
