"""Rows that break the contract are rejected with file, line and reason; the rest is staged."""

from __future__ import annotations

import pytest
from receipts import line, write_raw

OTHER = "PRD0900002"

# Reason expected (None: the line is staged) and the line, each in a basket of its own number.
LINES: list[tuple[str | None, str]] = [
    (None, line(basket_id="1")),
    ("blank line", ""),
    ("wrong number of fields", "200607,20060413,5,20"),
    ("wrong number of fields", line(basket_id="3") + ",one more"),
    ("wrong number of fields", line(basket_id="4", prod_code='"PRD,0900001"')),
    ("basket_id missing or not a whole number", line(basket_id="")),
    ("basket_id missing or not a whole number", line(basket_id="B7")),
    ("prod_code missing", line(basket_id="7", prod_code="")),
    ("prod_code missing", line(basket_id="8", prod_code='""')),
    ("store_code missing", line(basket_id="9", store_code=" ")),
    ("shop_week missing or not a whole number", line(basket_id="10", shop_week="2006-07")),
    ("shop_date missing or not a date", line(basket_id="11", shop_date="20060230")),
    ("shop_date missing or not a date", line(basket_id="12", shop_date="13/04/2006")),
    ("shop_hour missing or not 0 to 23", line(basket_id="13", shop_hour="24")),
    ("shop_weekday does not match shop_date", line(basket_id="14", shop_weekday="4")),
    ("quantity missing or not a whole number", line(basket_id="15", quantity="1.5")),
    ("quantity missing or not a whole number", line(basket_id="16", quantity="99999999999")),
    ("quantity not positive", line(basket_id="17", quantity="0")),
    ("quantity not positive", line(basket_id="18", quantity="-1")),
    ("spend missing or not in whole pence", line(basket_id="19", spend="abc")),
    ("spend missing or not in whole pence", line(basket_id="20", spend="0.935")),
    ("spend missing or not in whole pence", line(basket_id="21", spend="nan")),
    ("spend negative", line(basket_id="22", spend="-0.93")),
    ("product hierarchy incomplete", line(basket_id="23", prod_code_30="")),
    ("store_format or store_region missing", line(basket_id="24", store_region="")),
    ("basket_size unknown", line(basket_id="25", basket_size="XXL")),
    ("basket_price_sensitivity unknown", line(basket_id="26", basket_price_sensitivity="??")),
    ("basket_type unknown", line(basket_id="27", basket_type="Weekly")),
    ("basket_dominant_mission unknown", line(basket_id="28", basket_dominant_mission="Fuel")),
    ("shop_week not in time.csv", line(basket_id="29", shop_week="200652")),
    ("shop_date outside its shop_week", line(basket_id="30", shop_week="200608")),
    (None, line(basket_id="31")),
    ("duplicate of basket and product", line(basket_id="31", quantity="3", spend="2.79")),
    ("basket with several customers", line(basket_id="33")),
    ("basket with several customers", line(basket_id="33", prod_code=OTHER, cust_code="CUST2")),
    ("basket with several customers", line(basket_id="35", cust_code="")),
    ("basket with several customers", line(basket_id="35", prod_code=OTHER)),
    ("basket with several stores", line(basket_id="37")),
    ("basket with several stores", line(basket_id="37", prod_code=OTHER, store_code="STORE2")),
    ("basket with several dates or hours", line(basket_id="39")),
    ("basket with several dates or hours", line(basket_id="39", prod_code=OTHER, shop_hour="9")),
    ("basket with several store formats or regions", line(basket_id="41")),
    (
        "basket with several store formats or regions",
        line(basket_id="41", prod_code=OTHER, store_format="MS"),
    ),
    ("basket with several customer segments", line(basket_id="43")),
    ("basket with several customer segments", line(basket_id="43", prod_code=OTHER, seg_1="CT")),
    (
        "basket with several sizes, types, missions or price sensitivities",
        line(basket_id="45"),
    ),
    (
        "basket with several sizes, types, missions or price sensitivities",
        line(basket_id="45", prod_code=OTHER, basket_size="L"),
    ),
    (None, line(basket_id="46")),
    (
        "basket_id used in an earlier week",
        line(basket_id="46", shop_week="200608", shop_date="20060420"),
    ),
    # A bad line does not take the good ones of its basket with it.
    ("quantity not positive", line(basket_id="47", quantity="0")),
    (None, line(basket_id="47", prod_code=OTHER)),
    # What LGSR really contains and must be kept: free items, empty labels, anonymous shoppers.
    (None, line(basket_id="49", spend="0.00")),
    (None, line(basket_id="50", basket_type="", basket_dominant_mission="XX")),
    (None, line(basket_id="51", cust_code='""', seg_1='""', seg_2='""')),
    (None, line(basket_id="52", quantity="2.0", spend="1.860", shop_date="2006-04-13")),
]


@pytest.fixture(scope="module")
def dirty(dbt, tmp_path_factory):
    raw = write_raw(tmp_path_factory.mktemp("raw"), [text for _, text in LINES])
    # A second file, so that line numbers must be counted per file.
    (raw / "transactions_200608.csv").write_text(
        "\n".join(
            [
                (raw / "transactions_200607.csv").read_text().splitlines()[0],
                line(basket_id="60"),
                line(basket_id="61", quantity="0"),
            ]
        )
    )
    accept = "{max_rejected_share: 1, max_rejected_share_of_file_or_week: 1}"
    return dbt("build", "--vars", accept, raw=raw)


@pytest.fixture(scope="module")
def reasons(dirty):
    rows = dirty.rows("select source_file, source_line, reject_reason from rejected_rows")
    return {(file, number): reason for file, number, reason in rows}


def test_the_build_passes_with_every_identity(dirty):
    assert dirty.returncode == 0, dirty.output


@pytest.mark.parametrize("number", range(len(LINES)), ids=lambda n: f"{n + 2}:{LINES[n][0]}")
def test_line(reasons, number):
    # The header is line 1.
    assert reasons.get(("transactions_200607.csv", number + 2)) == LINES[number][0]


def test_line_numbers_start_again_in_the_next_file(reasons):
    second = {key: reason for key, reason in reasons.items() if key[0].endswith("08.csv")}
    assert second == {("transactions_200608.csv", 3): "quantity not positive"}


def test_no_line_is_lost(dirty):
    staged = dirty.value("select count(*) from trip_items")
    rejected = dirty.value("select count(*) from rejected_rows")
    assert staged == sum(reason is None for reason, _ in LINES) + 1
    assert staged + rejected == len(LINES) + 2


def test_of_duplicates_the_first_line_counts(dirty):
    assert dirty.rows(
        "select quantity, trip_items.spend_pence from trip_items join trips using (trip_key)"
        " where basket_id = 31"
    ) == [(1, 93)]


def test_rejected_rows_keep_their_content(dirty):
    kept = dirty.rows("select source_line, row_content from rejected_rows where source_line = 21")
    assert kept == [(21, LINES[19][1])]
    ((late,),) = dirty.rows("select row_content from rejected_rows where basket_id = 29")
    assert '"shop_week":200652' in late and '"prod_code":"PRD0900001"' in late


def test_values_are_read_exactly(dirty):
    assert dirty.rows(
        "select quantity, i.spend_pence, shop_date::varchar, shop_weekday, customer_code"
        " from trip_items i join trips using (trip_key) left join customers using (customer_key)"
        " where basket_id in (51, 52) order by basket_id"
    ) == [
        (1, 93, "2006-04-13", 5, None),
        (2, 186, "2006-04-13", 5, "CUST0000000001"),
    ]


def test_files_read_account_for_every_row(dirty):
    assert dirty.rows(
        "select source_file, kind, rows_read, rows_rejected, anonymous_rows, first_date::varchar,"
        " last_date::varchar from files_read order by all"
    ) == [
        (
            "transactions_200607.csv", "csv", len(LINES), sum(bool(reason) for reason, _ in LINES),
            2, "2006-04-13", "2006-04-20",
        ),
        ("transactions_200608.csv", "csv", 2, 1, 0, "2006-04-13", "2006-04-13"),
    ]  # fmt: skip
    assert dirty.rows(
        "select sum(pence_read)::bigint, sum(pence_rejected)::bigint from files_read"
    ) == dirty.rows(
        "select (select sum(spend_pence) from stg_transactions)::bigint,"
        " (select sum(spend_pence) from rejected_rows)::bigint"
    )


SHARES = "+rejected_share_is_small", "+rejected_share_of_a_file_or_week_is_small"


def test_too_many_rejects_stop_the_build(dbt, tmp_path):
    raw = write_raw(tmp_path, [line(), *(line(basket_id=f"{n}", quantity="0") for n in "23")])
    result = dbt("build", "--select", *SHARES, raw=raw)
    assert result.returncode == 1
    for test, told in [
        ("rejected_share_is_small", "2 of 3 rows are rejected (66.7 %, more than the var max_rej"),
        (
            "rejected_share_of_a_file_or_week_is_small",
            "transactions_200607.csv: 2 of 3 rows are rejected (66.7 %, more than the var "
            "max_rejected_share_of_file_or_week allows), 2 of them for: quantity not positive",
        ),
    ]:
        assert f"Failure in test {test}" in result.output
        assert f"{test}: {told}" in result.output


def test_a_file_or_week_that_is_wrong_stops_the_build(dbt, tmp_path):
    """However small a part of all rows it is; a single bad line does so only where it is all."""

    def week(code: str, date: str, *baskets: int, **wrong: str) -> list[str]:
        return [
            line(basket_id=str(basket), shop_week=code, shop_date=date, **wrong)
            for basket in baskets
        ]

    april = [
        *week("200607", "20060413", *range(1, 50)),
        *week("200608", "20060420", 100, 101, spend="free"),  # all there is of this week
        *week("200652", "20060413", 200),  # not in the calendar: counts for the file only
        *week("200609", "20060427", 300, quantity="0"),  # one line of three
        *week("200609", "20060427", 301, 302),
    ]
    raw = write_raw(tmp_path, april)
    for name, lines in [
        ("transactions_good.csv", week("200607", "20060413", 400)),
        ("transactions_one_bad_of_three.csv", week("200607", "20060413", 500, 501)
         + week("200607", "20060413", 502, quantity="0")),
        ("transactions_all_bad.csv", week("200607", "20060413", 600, 601, 602, spend="x")),
        ("transactions_the_only_line.csv", week("200607", "20060413", 700, spend="x")),
    ]:  # fmt: skip
        write_raw(tmp_path, lines, name=name)
    result = dbt("build", "--select", *SHARES, "--vars", "max_rejected_share: 1", raw=raw)
    assert result.returncode == 1
    test = "rejected_share_of_a_file_or_week_is_small: "
    told = [text.partition(test)[2] for text in result.output.splitlines() if test in text]
    assert [problem.partition(" (")[0] for problem in told] == [
        "transactions_all_bad.csv: 3 of 3 rows are rejected",
        "week 200608: 2 of 2 rows are rejected",
        "transactions_the_only_line.csv: 1 of 1 rows are rejected",
    ]
