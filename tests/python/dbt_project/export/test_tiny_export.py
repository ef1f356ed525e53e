"""Every column of the cache of a warehouse made by hand, worked out by head."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import tiny
import yaml

from dbt_project.export.calendar import day_columns, public_holidays
from dbt_project.export.tables import TABLES, model
from trainer.cache.schema import COLUMN


@pytest.fixture
def cache(tiny_cache):
    return tiny_cache


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


# Trips in timeline order: 2, 4, 5, 7 of CUST1, 3 and 8 of CUST2, 6 of CUST3.
VARS = {
    "full_history_trips": 20, "switching_weeks": 4, "cold_start_trips": 5, "base_price_weeks": 4,
}  # fmt: skip
"""Vars of dbt_project.yml that the manifest keeps."""
EXPECTED = {
    "customers.code": [b"CUST1", b"CUST2", b"CUST3"],
    "customers.price_sensitivity": [1, 0, 1],
    "customers.lifestage": [2, 1, 0],
    "customers.trip_offsets": [0, 4, 6, 7],
    "trips.basket_id": [b"9002", b"9004", b"9005", b"9007", b"9003", b"9008", b"9006"],
    "trips.customer_week": [0, 1, 2, 3, 5, 6, 8],
    "trips.week": [1, 2, 3, 4, 2, 4, 3],
    "trips.day": [0, 9, 15, 22, 7, 27, 16],
    "trips.hour": [9, 0, 12, 12, 23, 23, 12],
    "trips.store": [0, 0, 0, 0, 1, 1, 2],
    "trips.size": [2, 1, 3, 1, 0, 0, 1],
    "trips.sensitivity": [1, 3, 3, 2, 0, 0, 2],
    "trips.type": [2, 1, 3, 1, 0, 0, 1],
    "trips.focus": [1, 4, 3, 2, 0, 0, 2],
    "trips.days_since_previous": [-1, 9, 6, 7, -1, 20, -1],
    "trips.spend_pence": [400, 80, 400, 220, 50, 50, 210],
    "trips.is_cold_start": [True, True, False, False, True, True, True],
    "trips.has_novel_product": [False, False, True, True, False, False, False],
    "trips.is_replay": [False] * 5 + [True, False],
    "trips.item_offsets": [0, 2, 3, 5, 7, 8, 9, 10],
    "items.token": [1, 2, 1, 1, 4, 1, 5, 3, 3, 2],
    "items.quantity": [2, 1, 1, 1, 1, 1, 3, 1, 1, 1],
    "items.price": [3, 6, 2, 4, 8, 5, 0, 1, 1, 7],
    # PRD1 at STORE1: 95, then 80 (before: 95), then 100 (before: 80), then 100 (before: 100).
    "shelf_prices.pence": [40, 50, 80, 95, 100, 100, 200, 210, 300],
    "shelf_prices.previous_pence": [40, 50, 95, 95, 80, 100, 200, 210, 300],
    "shelf_prices.base_pence": [40, 50, 95, 95, 100, 100, 200, 210, 300],
    # Trip 1 bought PRD1 as trip 2 did, and PRD3, which no other trip of week 1 has.
    "anonymous_prices.product": [2],
    "anonymous_prices.store": [0],
    "anonymous_prices.week": [1],
    "anonymous_prices.pence": [50],
    "promotions.product": [0, 0, 1, 0],
    "promotions.store": [1, 2, 0, 0],
    "promotions.week": [1, 1, 1, 2],
    "promotions.display": [0, 0, 51, 51],
    "promotions.mailer": [65, 65, 65, 0],
    "customer_weeks.customer": [0, 0, 0, 0, 0, 1, 1, 1, 2, 2],
    "customer_weeks.week": [1, 2, 3, 4, 5, 2, 4, 5, 3, 5],
    "customer_weeks.trips": [0, 1, 2, 3, 4, 0, 1, 2, 0, 1],
    "customer_weeks.recency_days": [0, 7, 7, 7, 7, 0, 7, 7, 0, 7],
    "customer_weeks.department_shares": [[0], [1], [1], [0.8], [6 / 7], [0], [1], [1], [0], [1]],
    "customer_weeks.type_shares": [
        [known / 2, 0, 0, known / 2] for known in (0, 1, 1, 1, 1, 0, 1, 1, 0, 1)
    ],
    "customer_weeks.focus_shares": [
        [0, 0, 0, known, 0] for known in (0, 1, 1, 1, 1, 0, 1, 1, 0, 1)
    ],
    "customer_weeks.primary_store": [0, 1, 1, 1, 1, 0, 2, 2, 0, 3],
    "customer_weeks.store_hhi": [0, 1, 1, 1, 1, 0, 1, 1, 0, 1],
    "weeks.shop_week": [200643, 200644, 200645, 200646],
    "weeks.is_replayed": [False, False, False, True],
    "products.code": [b"PRD1", b"PRD2", b"PRD3", b"PRD4", b"PRD5"],
    "products.category": [0, 0, 1, 2, 3],
    "products.is_novel": [False, False, False, True, True],
    "products.is_random_weight": [False, False, True, False, False],
    "products.pence": [100, 200, 50, 100, 120],
    "products.category_pence": [150, 150, 50, 100, 100],
    "products.train_trips": [3, 1, 2, 0, 0],
    "products.tier": [0, 2, 1, 1, 1],
    "products.stability": [0.9, 1, 1, 1, 1],
    "products.volume_share": [0.75, 0.25, 1, 0, 0],
    "categories.code": [b"C1", b"C2", b"C3", b"C4", b"S1", b"S2", b"G1", b"G2", b"D1", b"D2"],
    "categories.level": [0, 0, 0, 0, 1, 1, 2, 2, 3, 3],
    "categories.parent": [4, 4, 5, 4, 6, 7, 8, 9, -1, -1],
    "categories.is_novel": [
        False, False, True, True, False, True, False, True, False, True
    ],
    # S1, G1 and D1: of 150, 150, 50; novel PRD5 counts only in C4, where no other product is.
    "categories.pence": [150, 50, 100, 100, 150, 100, 150, 100, 150, 100],
    "graph.source": [0, 0, 0, 1, 5],
    "graph.target": [2, 1, 5, 5, 9],
    "graph.type": [0, 1, 2, 2, 2],
    "graph.weight": [0.75, 0.25, 1, 1, 0.5],
    "stores.code": [b"STORE1", b"STORE2", b"STORE3"],
    "stores.format": [1, 2, 0],
    "stores.region": [1, 2, 1],
    "stores.assortment_breadth": [3, 1, 2],
    "stores.age_weeks": [2, 1, 0],
    "stores.is_novel": [False, False, True],
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_column(cache, name):
    found = np.array(cache[name])
    if found.dtype.kind == "f":
        np.testing.assert_array_equal(found, np.array(EXPECTED[name], dtype=found.dtype))
    else:
        assert found.tolist() == EXPECTED[name]


def test_labels_are_those_of_training_in_the_order_of_the_alphabet(cache):
    assert cache.labels == {
        "size": ("S", "M", "L"),
        "sensitivity": ("LA", "MM", "UM"),
        "type": ("Small Shop", "Top Up", "Full Shop"),
        "focus": ("Fresh", "Grocery", "Mixed", "Nonfood"),
        "price_sensitivity": ("LA",),
        "lifestage": ("OF", "YF"),
        "store_format": ("LS", "SS"),
        "store_region": ("N01", "S01"),
        "department": ("D1",),
        "holiday": ("Boxing Day", "Christmas Day", "New Year's Day"),
    }


def test_split_and_totals(cache):
    assert cache.split == {"train": (1, 2), "validation": (3, 3), "test": (4, 4)}
    none = {"trips": 0, "items": 0, "spend_pence": 0}
    assert cache.manifest["totals"] == {
        "all": {
            "identified": {"trips": 7, "items": 10, "spend_pence": 1410},
            "anonymous": {"trips": 1, "items": 2, "spend_pence": 150},
        },
        "train": {
            "identified": {"trips": 3, "items": 4, "spend_pence": 530},
            "anonymous": {"trips": 1, "items": 2, "spend_pence": 150},
        },
        "validation": {
            "identified": {"trips": 2, "items": 3, "spend_pence": 610}, "anonymous": none,
        },
        "test": {
            "identified": {"trips": 2, "items": 3, "spend_pence": 270}, "anonymous": none,
        },
    }  # fmt: skip
    assert set(cache.manifest["unmapped"].values()) == {0}
    assert cache.manifest["settings"] == {"country": "GB-ENG"} | VARS


def test_days_reach_over_the_week_after_the_calendar(cache):
    """As-of rows of week 5 are there, so its days are; the calendar has four weeks."""
    assert cache["days.date"].tolist() == list(range(day("2006-12-11"), day("2007-01-14") + 1))
    assert cache["days.week"].tolist() == [week for week in (1, 2, 3, 4, 5) for _ in range(7)]
    assert cache["days.weekday"].tolist() == [2, 3, 4, 5, 6, 7, 1] * 5
    assert cache["days.week_of_year"].tolist() == [w for w in (50, 51, 52, 1, 2) for _ in range(7)]
    assert cache["days.day_of_year"].tolist() == [*range(345, 366), *range(1, 15)]


def test_days_end_with_the_calendar_unless_more_is_needed(export):
    marts = tiny.tables()
    for mart in ("customer_history", "customer_missions", "customer_store_affinity"):
        tiny.change(marts[mart], {"as_of_week": 5}, as_of_week=4)
    for mart in ("customer_history", "customer_missions", "customer_store_affinity"):
        unique = {(row["customer_key"], row["as_of_week"]): row for row in marts[mart]}
        marts[mart] = list(unique.values())
    assert export(marts)["days.date"][-1] == day("2007-01-07")


@pytest.mark.parametrize(
    ("date_", "label", "until", "since"),
    [
        ("2006-12-11", None, 14, 105),  # the last one was the August bank holiday
        ("2006-12-24", None, 1, 118),
        ("2006-12-25", "Christmas Day", 0, 0),
        ("2006-12-26", "Boxing Day", 0, 0),
        ("2006-12-27", None, 5, 1),
        ("2007-01-01", "New Year's Day", 0, 0),
        ("2007-01-07", None, 89, 6),  # Good Friday is on 6 April, after the calendar
    ],
)
def test_holidays(cache, date_, label, until, since):
    row = cache["days.date"].tolist().index(day(date_))
    code = cache["days.holiday"][row]
    assert (cache.labels["holiday"][code - 1] if code else None) == label
    assert (cache["days.until_holiday"][row], cache["days.since_holiday"][row]) == (until, since)


def test_another_countrys_holidays(export):
    cache = export(tiny.tables(), country="us")
    assert cache.labels["holiday"] == ("Christmas Day", "New Year's Day")
    assert cache.manifest["settings"] == {"country": "US"} | VARS
    assert cache["days.since_holiday"][0] == 18  # Thanksgiving: 23 November 2006


def test_part_of_a_country(export):
    cache = export(tiny.tables(), country="GB-SCT")
    assert "New Year Holiday" in cache.labels["holiday"]  # 2 January, in Scotland only


def test_holidays_are_known_a_year_beyond_the_calendar():
    found = public_holidays("GB", date(2007, 6, 1), date(2007, 6, 2))
    assert found[date(2006, 12, 25)] == found[date(2008, 12, 25)] == "Christmas Day"


def test_far_holidays_are_255_days_away():
    days = np.array([0, 255, 256, 600])
    columns = day_columns(days, np.ones(4), {date(1970, 1, 1): "a"}, ["a"])
    assert columns["days.since_holiday"].tolist() == [0, 255, 255, 255]
    assert columns["days.until_holiday"].tolist() == [0, 255, 255, 255]
    assert columns["days.holiday"].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("below_s2", "parent"),
    [
        ({2: 2, 3: 2}, b"S2"),  # two of three training products
        ({2: 2}, b"S1"),  # one each: PRD1's was seen first, and novel PRD5 does not count
    ],
)
def test_a_category_belongs_where_most_of_its_training_products_are(export, below_s2, parent):
    """C1 holds products that disagree on what is above it."""
    marts = tiny.tables()
    for product, week in below_s2.items():
        place = {"category_1": "C1", "category_2": "S2", "first_week": week}
        tiny.change(marts["products"], {"product_key": product}, **place)
    tiny.change(marts["products"], {"product_key": 5}, category_1="C1", category_2="S2")
    tiny.rebuild_nodes(marts)
    cache = export(marts)
    codes = cache["categories.code"].tolist()
    assert codes[cache["categories.parent"][codes.index(b"C1")]] == parent
    # S2 holds PRD2, sold in training, too: its parent is that of PRD2, G1.
    assert codes[cache["categories.parent"][codes.index(b"S2")]] == b"G1"
    assert not cache["categories.is_novel"][codes.index(b"S2")]
    assert cache.rows("graph") == 0


def test_the_same_warehouse_gives_the_same_bytes(export):
    first, second = export(tiny.tables(), "first"), export(tiny.tables(), "second")
    names = sorted(path.name for path in first.folder.iterdir())
    assert names == sorted(path.name for path in second.folder.iterdir())
    assert len(names) == len(COLUMN) + 1
    for name in names:
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes(), name


def test_text_that_is_not_ascii(export):
    marts = tiny.tables()
    tiny.change(marts["customers"], {"customer_key": 3}, customer_code="Zoë")
    tiny.change(marts["customers"], {"customer_key": 1}, lifestage="Été")
    cache = export(marts)
    assert cache["customers.code"][2].decode() == "Zoë"
    assert cache.labels["lifestage"] == ("OF", "Été")


def test_the_exposure_names_the_models_that_are_read():
    path = tiny.ROOT / "models" / "exposures.yml"
    exposures = {e["name"]: e for e in yaml.safe_load(path.read_text())["exposures"]}
    read = sorted(f"ref('{model(name)}')" for name in TABLES)
    assert sorted(exposures["tensor_cache"]["depends_on"]) == read


def test_what_is_read_is_under_contract():
    contracts = tiny.contracts("cache")
    assert contracts.keys() == {model(name) for name in TABLES}
    for name, table in TABLES.items():
        assert set(table.columns + table.order) <= contracts[model(name)].keys(), name


def test_what_the_cache_models_read_is_under_contract():
    contracts = tiny.contracts()
    for mart, columns in tiny.MARTS.items():
        assert set(columns) <= contracts[mart].keys(), mart
