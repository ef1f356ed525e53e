"""Flat files of order lines: each line is accepted, set aside or rejected, as its layout says."""

from __future__ import annotations

import datetime
import gzip
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dbt_project.check.__main__ import main as check

LAYOUT = """
currency: EUR
country: DE
files: "*.csv*"
delimiter: semicolon
encoding: cp1252
decimal: ","
basket: [Shop, Slip]
customer: Card
product: Article
store: Shop
date: Day
date_format: "%d.%m.%Y"
time: At
quantity: Number
weighed: {Unit: [kg, l]}
paid: Gross - Off
regular: Gross
coupon: "- Coupon"
categories: [Group, Dept]
set_aside: {fuel: {Dept: FUEL}, deposit: {Article: "007", Unit: ST}}
lookups: {articles.csv: Article = Id}
"""
HEADER = "Shop;Slip;Day;At;Card;Article;Text;Number;Unit;Gross;Off;Coupon"
ARTICLES = """Id;Group;Dept
A1;Brie;"Dairy; eggs"
A2;;Fruit
F1;Diesel;FUEL
A4;"Crème
fraîche";
"""
GOOD = {
    "Shop": "S1", "Slip": "1", "Day": "04.03.2024", "At": "18:05", "Card": "K1", "Article": "A1",
    "Text": "x", "Number": "2", "Unit": "ST", "Gross": "2,00", "Off": "0,50", "Coupon": "",
}  # fmt: skip


def line(**changes: str) -> str:
    assert changes.keys() <= GOOD.keys()
    return ";".join((GOOD | changes).values())


MONEY = "missing or no number (decimal comma)"
CENTS = "not in whole hundredths, or above 21474836.47"

# What becomes of a line, or None, and the line; each is in a basket of its own.
LINES: list[tuple[str | None, str]] = [
    (None, line(Slip="1")),
    (None, line(Slip="2", Number="0,534", Unit="kg", Off="")),
    (None, line(Slip="3", Number="1", Unit="l", Coupon="-0,20")),
    (None, line(Slip="4", Number="+3,000", Off="NULL", Card="")),
    (None, line(Slip="5", Text='"two\r\nlines; and ""more"""', Article="A4")),
    (None, line(Slip="6", Day="1.4.2024", Article=" 501.0 ")),
    (None, line(Slip="7", Gross="2,00000000", Off="2")),
    ("fuel", line(Slip="8", Article="F1", Number="30,51", Unit="l", Gross="52,99")),
    ("deposit", line(Slip="9", Article="007", Number="-1", Gross="-0,25", Off="")),
    ("return", line(Slip="10", Number="-1", Gross="-2,00", Off="-0,50")),
    ("return", line(Slip="11", Number="-0,3", Unit="kg", Gross="-2", Off="", Coupon="0,10")),
    ("return", line(Slip="12", Gross="1,00", Off="1,50")),
    ("blank line", ""),
    ("wrong number of fields", line(Slip="13") + ";more"),
    ("quotation mark not closed, or inside a field", line(Slip="14", Text='"never')),
    ("NUL character", line(Slip="15", Text="\0")),
    ("not cp1252", line(Slip="16", Text="\udc81")),
    ("Slip missing", line(Slip="N/A")),
    ("Shop missing", line(Slip="17", Shop=" ")),
    ("Article missing", line(Slip="18", Article="")),
    ("Card in scientific notation: its digits are lost", line(Slip="19", Card="9.94E+14")),
    ("Day or At missing or not %d.%m.%Y", line(Slip="20", Day="31.02.2024")),
    ("Day or At missing or not %d.%m.%Y", line(Slip="21", Day="04.03.24")),
    ("Day or At missing or not %d.%m.%Y", line(Slip="22", Day="2024-03-04")),
    ("Day or At missing or not %d.%m.%Y", line(Slip="23", At="24:00")),
    ("Day or At missing or not %d.%m.%Y", line(Slip="24", At="")),
    ("Day or At missing or not %d.%m.%Y", line(Slip="25", Day="04.03.1024")),
    (f"Number {MONEY}", line(Slip="26", Number="1.5")),
    (f"Number {MONEY}", line(Slip="27", Number="1e2")),
    ("Number zero", line(Slip="28", Number="0,0")),
    ("Number too large (at most 2147483647)", line(Slip="29", Number="2147483648")),
    (f"Gross - Off {MONEY}", line(Slip="30", Gross="")),
    (f"Gross - Off {MONEY}", line(Slip="31", Gross="2.00")),
    (f"Gross - Off {MONEY}", line(Slip="32", Off="half")),
    (f"Gross - Off {MONEY}", line(Slip="33", Gross="1.000,00")),
    (f"Gross - Off {MONEY}", line(Slip="34", Gross="12345678901234567890")),
    (f"Gross - Off {CENTS}", line(Slip="35", Gross="2,005")),
    (f"Gross - Off {CENTS}", line(Slip="36", Gross="21474836,98")),
    (None, line(Slip="37", Gross="21474836,47", Off="")),
    (f"- Coupon {MONEY}", line(Slip="38", Coupon="free")),
    ("- Coupon negative", line(Slip="39", Coupon="0,10")),
    ("basket with several customers", line(Slip="40")),
    ("basket with several customers", line(Slip="40", Card="K2")),
    (None, line(Slip="41")),
    (None, line(Slip="41")),
]  # fmt: skip
ACCEPT = "thresholds: {max_rejected_share: 1, max_rejected_share_of_file_or_week: 1}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The layout, and a folder with the lines in one file and some in another."""
    raw = tmp_path_factory.mktemp("raw")
    lines = "\r\n".join([HEADER, *(text for _, text in LINES)]).encode("cp1252", "surrogateescape")
    (raw / "sales_1.csv").write_bytes(lines)
    again = line(Slip="1")
    more = "\n".join([HEADER.lower(), line(Slip="90"), line(Slip="91", Number="0"), again, ""])
    (raw / "sales_2.csv.gz").write_bytes(gzip.compress(more.encode("cp1252")))
    (raw / "articles.csv").write_text(ARTICLES, encoding="cp1252")
    (raw / "manual.pdf").write_text("no receipts")
    layout = tmp_path_factory.mktemp("layout") / "chain.yml"
    layout.write_text(LAYOUT + ACCEPT, encoding="utf-8")
    return layout, raw


@pytest.fixture(scope="module")
def staged(dbt, folder):
    layout, raw = folder
    result = dbt(
        "build", "--indirect-selection", "cautious", "--select", "+rejected_rows",
        "+set_aside_rows", "+files_read", "raw_totals_are_staged", raw=raw, layout=layout,
    )  # fmt: skip
    assert result.returncode == 0, result.output
    return result


def first_lines() -> list[int]:
    """The line of the file in which each of LINES begins."""
    starts = [2]
    for _, text in LINES:
        starts.append(starts[-1] + 1 + text.count("\n"))
    return starts[:-1]


def test_every_line_has_its_fate(staged):
    found = dict(
        staged.rows(
            "select source_line, reject_reason from rejected_rows where source_file = 'sales_1.csv'"
            " union all select source_line, set_aside_reason from int_lines"
            " where source_file = 'sales_1.csv' and reject_reason is null"
            " and set_aside_reason is not null"
        )
    )
    assert [found.get(start) for start in first_lines()] == [fate for fate, _ in LINES]
    assert len(found) == sum(fate is not None for fate, _ in LINES)


def test_files_are_accounted_for(staged):
    fates = [fate for fate, _ in LINES]
    aside = sum(fate in ("fuel", "deposit", "return") for fate in fates)
    rejected = sum(fate is not None for fate in fates) - aside
    assert staged.rows(
        "select source_file, rows_read, rows_rejected, rows_set_aside from files_read order by all"
    ) == [("sales_1.csv", len(LINES), rejected, aside), ("sales_2.csv.gz", 3, 1, 0)]


AGAIN = (
    "warning: {}1 baskets have lines in several files, which are added up: S1/1 in sales_1.csv and "
    "sales_2.csv.gz. If a file repeats another, remove it\n"
)


def test_a_receipt_in_two_files_is_named(staged):
    assert AGAIN.format("baskets_are_in_one_file: ") in staged.output


def test_a_partial_build_notices_another_mapping(dbt, staged, folder, tmp_path):
    """Not one of thresholds: they decide nothing of what was read."""
    layout, raw = folder
    changed = tmp_path / "chain.yml"
    for text, returncode in [(LAYOUT, 0), (LAYOUT.replace("paid: Gross - Off", "paid: Gross"), 2)]:
        changed.write_text(text + ACCEPT.replace(": 1,", ": 0.9,"), encoding="utf-8")
        result = dbt("run", "--select", "files_read", raw=raw, layout=changed, into=staged)
        assert result.returncode == returncode, result.output
    said = " ".join(result.output.split())
    assert "holds receipts in the layout chain (version " in said
    assert "Set RETAILSIM_LAYOUT (or the var layout), or read receipts anew: dbt build" in said


def test_values_are_read_as_the_layout_says(staged):
    read = staged.rows(
        "select basket_id, customer_code, product_code, shop_week, shop_date::varchar, shop_hour,"
        " quantity, spend_pence, regular_pence, coupon_pence, is_weighed, category_1, category_2"
        " from stg_transactions where reject_reason is null and source_file = 'sales_1.csv'"
        " order by source_line"
    )
    day = (202410, "2024-03-04", 18)
    dairy = ("Brie", "Dairy; eggs")
    assert read[:12] == [
        ("S1/1", "K1", "A1", *day, 2, 150, 200, None, False, *dairy),
        ("S1/2", "K1", "A1", *day, 1, 200, 200, None, True, *dairy),
        ("S1/3", "K1", "A1", *day, 1, 150, 200, 20, True, *dairy),
        ("S1/4", None, "A1", *day, 3, 200, 200, None, False, *dairy),
        ("S1/5", "K1", "A4", *day, 2, 150, 200, None, False, "Crème\nfraîche", None),
        ("S1/6", "K1", "501", 202414, "2024-04-01", 18, 2, 150, 200, None, False, None, None),
        ("S1/7", "K1", "A1", *day, 2, 0, 200, None, False, *dairy),
        ("S1/8", "K1", "F1", *day, 1, 5249, 5299, None, True, "Diesel", "FUEL"),
        ("S1/9", "K1", "007", *day, -1, -25, -25, None, False, None, None),
        ("S1/10", "K1", "A1", *day, -1, -150, -200, None, False, *dairy),
        ("S1/11", "K1", "A1", *day, -1, -200, -200, -10, True, *dairy),
        ("S1/12", "K1", "A1", *day, 2, -50, 100, None, False, *dairy),
    ]


def test_the_line_is_kept_as_it_is(staged):
    kept = dict(
        staged.rows(
            "select source_line, row_content from rejected_rows where source_file like '%1%'"
        )
    )
    expected = {
        start: text.replace("\0", "\\x00").replace("\udc81", "\\x81")
        for start, (fate, text) in zip(first_lines(), LINES, strict=True)
        if fate is not None and start in kept and "basket" not in fate
    }
    assert {start: kept[start] for start in expected} == expected


def test_weeks_go_from_the_first_date_to_the_last(staged):
    weeks = staged.rows("select week, shop_week, date_from::varchar from stg_weeks order by 1")
    assert weeks == [
        (1, 202410, "2024-03-04"), (2, 202411, "2024-03-11"), (3, 202412, "2024-03-18"),
        (4, 202413, "2024-03-25"), (5, 202414, "2024-04-01"),
    ]  # fmt: skip


def test_check_says_what_the_build_does(staged, folder, capsys):
    layout, raw = folder
    assert check([str(raw), "--layout", str(layout)]) == 0
    printed = capsys.readouterr().out
    rows = staged.rows(
        "select what, reason, count(*) from (select 'rejected' as what, reject_reason as reason"
        " from rejected_rows union all select 'set aside', set_aside_reason from set_aside_rows)"
        " group by all"
    )
    for what, reason, count in rows:
        assert f"{count:>10,} {what}: {reason}\n" in printed
    assert printed.count(" rejected: ") + printed.count(" set aside: ") == len(rows)
    assert f"{len(LINES) + 3:>10,} lines read\n" in printed and AGAIN.format("") in printed
    assert "sales_1.csv:2" in printed and "RETAILSIM_LAYOUT=" in printed


UTC = """
currency: USD
time_zone: America/New_York
files: [lines.parquet, dates.csv]
encoding: UTF8
basket: ticket
product: sku
date: stamp
quantity: units
paid: units * price
"""


def test_parquet_utc_and_prices_of_a_unit(dbt, tmp_path):
    """Also of a file in which nothing else is said: one store, no customers. And a date without a
    time of day: it stays where it is, and is at 12 o'clock.
    """
    stamps = [datetime.datetime(2024, 3, 11, hour, 30) for hour in (3, 4, 5)]  # New York is at -4
    table = pa.table(
        {
            "ticket": pa.array([900719925474099, 2, 3]),
            "sku": pa.array(["a", "b", "b"]).dictionary_encode(),
            "stamp": pa.array(stamps, pa.timestamp("us", "UTC")),
            "units": pa.array([2.0, 0.534, None]),
            "price": pa.array([Decimal("1.25"), Decimal("2.99"), Decimal("1.00")]),
            "nested": pa.array([[1], [2], [3]]),
        }
    )
    pq.write_table(table, tmp_path / "lines.parquet")
    (tmp_path / "dates.csv").write_text(
        "\ufeffticket,sku,stamp,units,price\n4,a,20240311,1,1.25\n", encoding="utf-8"
    )
    layout = tmp_path / "utc.yml"
    layout.write_text(UTC + ACCEPT)
    result = dbt(
        "build", "--indirect-selection", "cautious", "--select", "stg_transactions",
        "raw_totals_are_staged", raw=tmp_path, layout=layout,
    )  # fmt: skip
    assert result.returncode == 0, result.output
    assert result.rows(
        "select basket_id, customer_code, product_code, store_code, shop_date::varchar, shop_hour,"
        " quantity, spend_pence, is_weighed, source_line, reject_reason from stg_transactions"
    ) == [
        ("4", None, "a", "ALL", "2024-03-11", 12, 1, 125, None, 2, None),
        ("900719925474099", None, "a", "ALL", "2024-03-10", 23, 2, 250, None, 1, None),
        ("2", None, "b", "ALL", "2024-03-11", 0, 1, 160, True, 2, None),
        ("3", None, "b", "ALL", "2024-03-11", 1, None, None, None, 3,
         "units missing or no number (decimal point)"),
    ]  # fmt: skip


WRONG = [
    ({"files": "nothing*.csv"}, "no file nothing*.csv in the folder"),
    ({"product": "Artikel"}, "sales_1.csv: column artikel missing. Found: shop, slip, day"),
    ({"delimiter": "comma"}, "column id missing. Found: id;group;dept. One column only"),
    ({"encoding": "utf-8"}, "articles.csv: line 5: not utf-8"),
    ({"lookups": "{articles.csv: Article}"}, "articles.csv: column article missing. Found: id"),
    ({"lookups": "{prices.csv: Article}"}, "lookups: 0 files prices.csv in the folder"),
]


@pytest.mark.parametrize(("changes", "told"), WRONG)
def test_files_that_do_not_fit_the_layout(dbt, folder, tmp_path, changes, told):
    layout, raw = folder
    changed = tmp_path / "changed.yml"
    kept = [text for text in LAYOUT.splitlines() if text.split(":")[0] not in changes]
    changed.write_text("\n".join(kept + [f"{key}: {value}" for key, value in changes.items()]))
    result = dbt("run", "--select", "stg_transactions", raw=raw, layout=changed)
    assert result.returncode == 1
    assert told in " ".join(result.output.split())
