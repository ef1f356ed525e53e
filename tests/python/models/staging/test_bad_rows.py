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
    ("basket_id missing", line(basket_id="")),
    (None, line(basket_id="B7")),
    ("prod_code missing", line(basket_id="7", prod_code="")),
    ("prod_code missing", line(basket_id="8", prod_code='""')),
    ("store_code missing", line(basket_id="9", store_code=" ")),
    ("shop_week missing or not a whole number", line(basket_id="10", shop_week="2006-07")),
    ("shop_date missing or not a date", line(basket_id="11", shop_date="20060230")),
    ("shop_date missing or not a date", line(basket_id="12", shop_date="13/04/2006")),
    ("shop_hour missing or not 0 to 23", line(basket_id="13", shop_hour="24")),
    ("shop_weekday does not match shop_date", line(basket_id="14", shop_weekday="4")),
    ("quantity missing or not a whole number", line(basket_id="15", quantity="1.5")),
    (
        "quantity too large (at most 2147483647)",
        line(basket_id="16", quantity="99999999999"),
    ),
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
    ("shop_week not in the calendar", line(basket_id="29", shop_week="200652")),
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
    # Codes are text, whatever they look like, unless their digits are lost.
    (None, line(basket_id="12345678901234567890")),
    (None, line(basket_id="12345678901234567891")),
    (None, line(basket_id="0053", cust_code="00501", prod_code="12E3", store_code="1e5")),
    (None, line(basket_id="0054.0", cust_code="501", prod_code="00123")),
    (None, line(basket_id="55", cust_code="501.00", prod_code="00123.0")),
    (None, line(basket_id="56", cust_code="501.5", prod_code="INFANT", store_code="E+5")),
    ("basket_id in scientific notation: its digits are lost", line(basket_id="9.94E+14")),
    ("basket_id in scientific notation: its digits are lost", line(basket_id="1e-05")),
    ("basket_id in scientific notation: its digits are lost", line(basket_id="9.94E14")),
    ("basket_id in scientific notation: its digits are lost", line(basket_id="1.E5")),
    (
        "prod_code in scientific notation: its digits are lost",
        line(basket_id="57", prod_code="+1.5e+16"),
    ),
    (
        "cust_code in scientific notation: its digits are lost",
        line(basket_id="58", cust_code="5.01e+12"),
    ),
    (
        "cust_code in scientific notation: its digits are lost",
        line(basket_id="59", cust_code="Inf"),
    ),
    (
        "store_code in scientific notation: its digits are lost",
        line(basket_id="60", store_code="-inf"),
    ),
    (
        "prod_code_40 in scientific notation: its digits are lost",
        line(basket_id="61", prod_code_40="1E+02"),
    ),
    # A number is digits, a sign and the decimals of its unit.
    ("quantity missing or not a whole number", line(basket_id="62", quantity="1_0")),
    ("quantity missing or not a whole number", line(basket_id="63", quantity="1e1")),
    ("quantity missing or not a whole number", line(basket_id="64", quantity="0x10")),
    ("quantity missing or not a whole number", line(basket_id="65", quantity="one")),
    ("quantity not positive", line(basket_id="66", quantity="-99999999999")),
    (None, line(basket_id="67", quantity="+2147483647.00")),
    ("spend missing or not in whole pence", line(basket_id="68", spend="0.99999999")),
    ("spend missing or not in whole pence", line(basket_id="69", spend="1.25004")),
    ("spend missing or not in whole pence", line(basket_id="70", spend="1_25")),
    ("spend missing or not in whole pence", line(basket_id="71", spend="1e2")),
    ("spend missing or not in whole pence", line(basket_id="72", spend=".5")),
    ("spend missing or not in whole pence", line(basket_id="73", spend="\u00a31.25")),
    ("spend missing or not in whole pence", line(basket_id="74", spend="\u0661")),
    ("spend too large (at most 21474836.47)", line(basket_id="75", spend="21474836.48")),
    ("spend too large (at most 21474836.47)", line(basket_id="76", spend="9" * 40)),
    ("spend too large (at most 21474836.47)", line(basket_id="76", spend="900719925474099.00")),
    ("spend negative", line(basket_id="77", spend="-" + "9" * 40)),
    (None, line(basket_id="78", spend="21474836.4700")),
    ("shop_week too large (at most 2147483647)", line(basket_id="79", shop_week="99999999999")),
    ("shop_week missing or not a whole number", line(basket_id="80", shop_week="2.00607e5")),
    ("shop_date missing or not a date", line(basket_id="81", shop_date="2006-4-13")),
    ("shop_date missing or not a date", line(basket_id="82", shop_date="2006041")),
    ("shop_date missing or not a date", line(basket_id="83", shop_date="2006-04-13 20")),
    ("shop_date missing or not a date", line(basket_id="84", shop_date="20060413 ago")),
    (None, line(basket_id="85", shop_date="20060413.0", shop_weekday="5.0", shop_hour="+20")),
    (None, line(basket_id="86", shop_date="2006-04-13T20:15:00.000")),
    ("shop_hour missing or not 0 to 23", line(basket_id="87", shop_hour="300")),
    # Missing values as words, and blanks around values.
    *(
        (None, line(basket_id=f"88{n}", cust_code=word, basket_type=word))
        for n, word in enumerate(
            ["NULL", "nan", "None", "NA", "#REF!", "#N/A", "<NA>", "\\N", " \u00a0\t", '"null"']
        )
    ),
    ("basket_id missing", line(basket_id="NaN")),
    ("prod_code missing", line(basket_id="89", prod_code="#N/A")),
    ("store_code missing", line(basket_id="90", store_code='" NULL "')),
    ("shop_date missing or not a date", line(basket_id="91", shop_date="NULL")),
    ("product hierarchy incomplete", line(basket_id="92", prod_code_20="none")),
    (None, line(basket_id="93", cust_code="NANCY", prod_code="NULLA", store_code="NA1")),
    (None, ",".join(f"\t{value} \u00a0" for value in line(basket_id="94").split(","))),
    # Quotation marks enclose a field, or make the line unreadable.
    (None, ",".join(f'"{value}"' for value in line(basket_id="95").split(","))),
    (None, ",".join(f' " {value}" ' for value in line(basket_id="96").split(","))),
    ("quotation mark inside a field", line(basket_id="97", prod_code='A"1')),
    ("quotation mark inside a field", line(basket_id="98", prod_code='"A""1"')),
    ("quotation mark inside a field", line(basket_id="99", prod_code='""A')),
    ("quotation mark inside a field", line(basket_id="100", prod_code='"A', prod_code_10='B"')),
    ("quotation mark inside a field", line(basket_id="101", cust_code='"')),
    ("quotation mark inside a field", line(basket_id="102", cust_code='"""')),
    ("quotation mark inside a field", line(basket_id="103") + '"'),
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
        " where basket_id = '31'"
    ) == [(1, 93)]


def test_rejected_rows_keep_their_content(dirty):
    kept = dirty.rows("select source_line, row_content from rejected_rows where source_line = 21")
    assert kept == [(21, LINES[19][1])]
    ((late,),) = dirty.rows("select row_content from rejected_rows where basket_id = '29'")
    assert '"shop_week":200652' in late and '"product_code":"PRD0900001"' in late


def test_values_are_read_exactly(dirty):
    assert dirty.rows(
        "select quantity, i.spend_pence, shop_date::varchar, shop_weekday, customer_code"
        " from trip_items i join trips using (trip_key) left join customers using (customer_key)"
        " where basket_id in ('51', '52') order by basket_id"
    ) == [
        (1, 93, "2006-04-13", 5, None),
        (2, 186, "2006-04-13", 5, "CUST0000000001"),
    ]


def test_files_read_account_for_every_row(dirty):
    # Of the customers of baskets 880 to 889 one is blank, the others are missing by a word.
    assert dirty.rows(
        "select source_file, kind, rows_read, rows_rejected, anonymous_rows, missing_words,"
        " first_date::varchar, last_date::varchar from files_read order by all"
    ) == [
        (
            "transactions_200607.csv", "csv", len(LINES), sum(bool(reason) for reason, _ in LINES),
            2 + 10, 9 + 3, "2006-04-13", "2006-04-20",
        ),
        ("transactions_200608.csv", "csv", 2, 1, 0, 0, "2006-04-13", "2006-04-13"),
    ]  # fmt: skip
    assert dirty.rows(
        "select sum(pence_read)::bigint, sum(pence_rejected)::bigint from files_read"
    ) == dirty.rows(
        "select (select sum(spend_pence) from stg_transactions)::bigint,"
        " (select sum(spend_pence) from rejected_rows)::bigint"
    )


def test_ids_stay_as_they_are(dirty):
    ids = dirty.rows(
        "select basket_id, customer_code, product_code, store_code"
        " from trips join trip_items using (trip_key) join products using (product_key)"
        " join stores using (store_key) left join customers using (customer_key)"
    )
    assert len(ids) == len(set(ids))
    ids = {basket: codes for basket, *codes in ids}
    assert {"12345678901234567890", "12345678901234567891"} <= ids.keys()
    assert ids["0053"] == ["00501", "12E3", "1e5"]
    assert ids["0054"] == ids["55"] == ["501", "00123", "STORE00001"]
    assert ids["56"] == ["501.5", "INFANT", "E+5"]
    assert ids["93"] == ["NANCY", "NULLA", "NA1"]
    assert all(ids[f"88{n}"][0] is None for n in range(10))
    assert ids["94"] == ids["95"] == ids["96"] == ids["1"]


def test_spend_is_exact_up_to_the_largest(dirty):
    assert dirty.rows(
        "select basket_id, i.quantity, i.spend_pence from trip_items i join trips using (trip_key)"
        " where basket_id in ('67', '78') order by 1"
    ) == [("67", 2147483647, 93), ("78", 1, 2147483647)]


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
