"""The layout of The Complete Journey, on files made here: what becomes of every line."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

COLUMNS = (
    "household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value", "retail_disc",
    "coupon_disc", "coupon_match_disc", "week", "transaction_timestamp",
)  # fmt: skip
NAMES = ("product_id", "department", "product_category", "product_type")
PRODUCTS = [
    (11, "GROCERY", "MILK", "SKIM"),
    (12, "PRODUCE", "APPLES", None),
    (13, "GROCERY", "APPLES", None),
    (20, "FUEL", "COUPON/MISC ITEMS", "GASOLINE-REG UNLEADED"),
    (21, "MISCELLANEOUS", "COUPON/MISC ITEMS", "GASOLINE-REG UNLEADED"),
]
SUNDAY = dt.datetime(2017, 1, 1, 20)
# 04:30 UTC on Monday is Sunday night in New York, of week 1; an hour later it is week 2 there.
SUNDAY_NIGHT = dt.datetime(2017, 1, 2, 4, 30)
MONDAY = dt.datetime(2017, 1, 2, 5, 30)
# On 3 July New York is four hours behind, not five.
SUMMER = dt.datetime(2017, 7, 4, 3, 30)
LINES = [
    # household, store, basket, product, quantity, sales, loyalty, coupon, match, week, time
    (1, 7, 100, 11, 2, 1.50, 0.50, 0.40, 0.10, 1, SUNDAY),
    (1, 7, 100, 12, 1, 0.99, 0.0, 0.0, 0.0, 1, SUNDAY),
    (1, 7, 100, 99, 1, 0.50, 0.0, 0.0, 0.0, 1, SUNDAY),
    (1, 7, 100, 20, 9000, 20.00, 0.0, 0.0, 0.0, 1, SUNDAY),
    (2, 8, 101, 21, 5000, 11.00, 0.0, 0.0, 0.0, 1, SUNDAY_NIGHT),
    (2, 8, 102, 11, 1, 0.80, 0.20, 0.0, 0.0, 1, SUNDAY_NIGHT),
    (2, 8, 103, 13, 1, 0.60, 0.0, 0.0, 0.0, 2, MONDAY),
    (2, 8, 103, 11, 0, 0.0, 0.0, 0.0, 0.0, 2, MONDAY),
    (2, 8, 104, 12, 1, 0.90, 0.0, 0.0, 0.0, 2, SUNDAY_NIGHT),
    (1, 7, 105, 12, 1, 0.90, 0.0, 0.0, 0.0, 28, SUMMER),
]


def write(folder, name, rows, columns):
    values = zip(*rows, strict=True)
    pq.write_table(
        pa.table(dict(zip(columns, map(list, values), strict=True))), folder / f"{name}.parquet"
    )


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("journey")
    write(folder, "transactions", LINES, COLUMNS)
    write(folder, "products", PRODUCTS, NAMES)
    write(folder, "demographics", [(1, "1 Adult Kids")], ("household_id", "household_comp"))
    write(
        folder, "promotions",
        [(11, 7, 1, "3", "0"), (11, 7, 1, "2", "A"), (12, 8, 2, "0", "D"), (77, 7, 1, "1", "0")],
        ("product_id", "store_id", "week", "display_location", "mailer_location"),
    )  # fmt: skip
    write(
        folder, "coupons",
        [(5001, 11, 3), (5002, 11, 3), (5001, 77, 3)], ("coupon_upc", "product_id", "campaign_id"),
    )  # fmt: skip
    write(
        folder, "campaign_descriptions",
        [(3, "Type A", dt.datetime(2017, 3, 3), dt.datetime(2017, 4, 9))],
        ("campaign_id", "campaign_type", "start_date", "end_date"),
    )  # fmt: skip
    return folder


# Of ten lines made up, two are to be rejected.
VARS = [
    "--vars",
    "{max_rejected_share: 1, max_rejected_share_of_file_or_week: 1, promotions_min_trips: 2}",
]


@pytest.fixture(scope="module")
def built_journey(dbt, raw):
    result = dbt("build", "--quiet", *VARS, raw=raw, layout="complete_journey")
    assert result.returncode == 0, result.output
    return result


def test_every_line_is_accounted_for(built_journey):
    assert built_journey.rows(
        "select source_line, reject_reason from rejected_rows order by source_line"
    ) == [(8, "quantity not positive"), (9, "week does not match transaction_timestamp")]
    assert built_journey.rows(
        "select product_code, set_aside_reason, quantity, spend_pence from set_aside_rows"
        " order by product_code"
    ) == [("20", "fuel", 9000, 2000), ("21", "fuel", 5000, 1100)]
    assert built_journey.rows(
        "select rows_read, rows_rejected, rows_set_aside from files_read"
    ) == [(10, 2, 2)]
    assert built_journey.value("select count(*) from trip_items") == 6


def test_dates_are_those_of_the_stores(built_journey):
    assert built_journey.rows(
        "select basket_id, shop_date::varchar, shop_hour, week from trips order by basket_id"
    ) == [
        ("100", "2017-01-01", 15, 1),
        ("102", "2017-01-01", 23, 1),
        ("103", "2017-01-02", 0, 2),
        ("105", "2017-07-03", 23, 28),
    ]
    assert built_journey.rows(
        "select week, shop_week, date_from::varchar, date_to::varchar from stg_weeks"
        " where week in (1, 2, 28) order by week"
    ) == [
        (1, 201652, "2016-12-26", "2017-01-01"),
        (2, 201701, "2017-01-02", "2017-01-08"),
        (28, 201727, "2017-07-03", "2017-07-09"),
    ]


def test_the_three_prices(built_journey):
    """Loyalty price 1.60 for two, 2.10 without the card, 0.50 taken off by coupons."""
    assert built_journey.rows(
        "select quantity, spend_pence, regular_pence, coupon_pence from int_items"
        " join products using (product_key) where product_code = '11' order by trip_key"
    ) == [(2, 160, 210, 50), (1, 80, 100, 0)]
    assert built_journey.rows(
        "select product_code, week, baskets, units, coupon_pence from coupons_redeemed"
        " join products using (product_key)"
    ) == [("11", 1, 1, 2, 50)]


def test_categories_of_one_name_differ_by_department(built_journey):
    assert built_journey.rows(
        "select product_code, category_1, category_2, category_3, category_4 from products"
        " order by product_code"
    ) == [
        ("11", "GROCERY / MILK / SKIM", "GROCERY / MILK", "GROCERY", "GROCERY"),
        ("12", "PRODUCE / APPLES", "PRODUCE / APPLES", "PRODUCE", "PRODUCE"),
        ("13", "GROCERY / APPLES", "GROCERY / APPLES", "GROCERY", "GROCERY"),
        ("99", "UNKNOWN", "UNKNOWN", "UNKNOWN", "UNKNOWN"),
    ]


def test_promotions_and_coupon_offers(built_journey):
    """Product 77 has no receipts; product 11 stands twice in store 7, in week 1."""
    assert built_journey.rows(
        "select product_code, store_code, week, display_location, mailer_location from promotions"
        " join products using (product_key) join stores using (store_key) order by product_code"
    ) == [("11", "7", 1, "2", "A"), ("12", "8", 2, None, "D")]
    # In training week 1, two trips have product 11 and one has product 12.
    assert built_journey.rows(
        "select product_code, week, chr(display), mailer from cache_promotions"
        " join products using (product_key)"
    ) == [("11", 1, "2", ord("A"))]
    assert built_journey.rows(
        "select campaign_code, product_code, campaign_type, first_date::varchar, coupons"
        " from coupon_offers join products using (product_key)"
    ) == [("3", "11", "Type A", "2017-03-03", 2)]


def products(folder, rows, *names):
    write(folder, "products", rows, ("product_id", "department", *names))


@pytest.mark.parametrize(
    "damage, told",
    [
        (lambda folder: (folder / "products.parquet").unlink(), "no products.parquet in the fol"),
        (
            lambda folder: products(folder, [(1, "A", "B")], "type"),
            "products.parquet: column product_category missing. Found: product_id, department, ty",
        ),
        (
            lambda folder: products(folder, [("1", "A", "B", "C")], *NAMES[2:]),
            "products.parquet: column product_id is of type VARCHAR. Expected a whole number.",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_not_as_expected_stops(dbt, raw, tmp_path, damage, told):
    for path in raw.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damage(tmp_path)
    result = dbt(
        "run", "--quiet", "--select", "stg_transactions", raw=tmp_path, layout="complete_journey"
    )
    assert result.returncode == 1 and told in result.output


def test_one_layout_is_not_built_on_another(dbt, built_journey, raw, tmp_path):
    copy = type(built_journey)(tmp_path / "warehouse.duckdb")
    copy.path.write_bytes(built_journey.path.read_bytes())
    result = dbt("run", "--quiet", "--select", "products", raw=raw, into=copy)
    assert result.returncode != 0
    assert (
        "holds receipts in the layout complete_journey, and this run is for lgsr" in result.output
    )
