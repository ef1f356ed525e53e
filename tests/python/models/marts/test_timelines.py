"""Timelines against the raw files of the synthetic chain, read here in plain Python."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

GOLDEN = Path(__file__).with_name("golden_rows_per_week.csv")


@pytest.fixture(scope="module")
def receipts(chain):
    """Raw rows as dictionaries, with `week` (row number in time.csv) and `pence`."""
    with (chain / "time.csv").open() as file:
        weeks = {row["shop_week"]: n for n, row in enumerate(csv.DictReader(file), start=1)}
    rows = []
    for path in sorted(chain.glob("transactions_*.csv")):
        with path.open() as file:
            for row in csv.DictReader(file):
                row["week"] = weeks[row["SHOP_WEEK"]]
                row["pence"] = int(Decimal(row["SPEND"]) * 100)
                rows.append(row)
    return rows


def test_everything_read_is_in_the_timelines(warehouse, chain, receipts):
    facts = json.loads((chain / "truth" / "chain.json").read_text())
    assert warehouse.rows(
        "select count(*), count(distinct trip_key), sum(spend_pence) from trip_items"
    ) == [(facts["rows"], facts["baskets"], facts["spend_pence"])]
    assert len(receipts) == facts["rows"]
    assert warehouse.value("select count(*) from rejected_rows") == 0


def test_rows_per_week_are_the_golden_ones(warehouse):
    with GOLDEN.open() as file:
        golden = [tuple(map(int, row)) for row in list(csv.reader(file))[1:]]
    assert warehouse.rows("select week, trips, items, spend_pence from weeks order by 1") == golden


def test_trip_items_are_the_raw_rows(warehouse, receipts):
    expected = {(r["BASKET_ID"], r["PROD_CODE"], int(r["QUANTITY"]), r["pence"]) for r in receipts}
    found = warehouse.rows(
        "select basket_id, product_code, quantity, i.spend_pence"
        " from trip_items i join trips using (trip_key) join products using (product_key)"
    )
    assert len(found) == len(expected)
    assert set(found) == expected


def test_timelines(warehouse, receipts):
    baskets = {}
    items = defaultdict(list)
    for row in receipts:
        baskets[row["BASKET_ID"]] = row
        items[row["BASKET_ID"]].append(row)
    first_week = {}
    for row in sorted(receipts, key=lambda r: r["week"]):
        first_week.setdefault(row["PROD_CODE"], row["week"])

    timelines = defaultdict(list)
    for basket, row in baskets.items():
        if row["CUST_CODE"]:
            timelines[row["CUST_CODE"]].append((row["SHOP_DATE"], int(row["SHOP_HOUR"]), basket))
    number = {
        moment[2]: n
        for timeline in timelines.values()
        for n, moment in enumerate(sorted(timeline), start=1)
    }

    def split(week):
        return "train" if week <= 80 else "validation" if week <= 95 else "test"

    expected = {
        (
            basket,
            row["CUST_CODE"] or None,
            row["STORE_CODE"],
            number.get(basket),
            row["week"],
            split(row["week"]),
            int(row["SHOP_WEEKDAY"]),
            int(row["SHOP_HOUR"]),
            row["BASKET_TYPE"],
            len(items[basket]),
            sum(r["pence"] for r in items[basket]),
            number[basket] - 1 < 5 if basket in number else None,
            any(first_week[r["PROD_CODE"]] > 80 for r in items[basket]),
        )
        for basket, row in baskets.items()
    }
    found = warehouse.rows(
        "select basket_id, customer_code, store_code, trip_number, week, split, shop_weekday,"
        " shop_hour, trip_type, item_count, spend_pence, is_cold_start, has_novel_product"
        " from trips join stores using (store_key) left join customers using (customer_key)"
    )
    assert len(found) == len(expected)
    assert set(found) == expected


def test_keys_follow_weeks_codes_and_time(warehouse):
    for table, name in [("products", "product"), ("customers", "customer"), ("stores", "store")]:
        first = warehouse.rows(f"select first_week, {name}_code from {table} order by {name}_key")
        assert first == sorted(first)
    moments = warehouse.rows("select shop_date, shop_hour, basket_id from trips order by trip_key")
    assert moments == sorted(moments)


def test_weighed_products_are_found(warehouse, chain):
    """Counted in items sold: products that hardly sell cannot be judged and hardly matter."""
    truth = f"read_parquet('{chain / 'truth' / 'products.parquet'}')"
    ((found, true, both),) = warehouse.rows(
        "select count(*) filter (is_random_weight), count(*) filter (truth.random_weight),"
        " count(*) filter (is_random_weight and truth.random_weight)"
        " from trip_items join products using (product_key)"
        f" join {truth} as truth on truth.product = product_code"
    )
    assert both / found >= 0.95
    assert both / true >= 0.9


def test_no_replayed_weeks_unless_asked_for(warehouse):
    assert warehouse.value("select count(*) from weeks where is_replayed_week") == 0
