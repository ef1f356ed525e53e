"""The layout of The Complete Journey, on files made here: what becomes of every line."""

from __future__ import annotations

import pytest
from journey_files import NAMES, write, write_journey


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("journey")
    write_journey(folder)
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
