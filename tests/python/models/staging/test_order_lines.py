"""Flat files of order lines: each line is accepted, set aside or rejected, as its layout says."""

from __future__ import annotations

import pytest
from kinds_of_lines import ACCEPT, LAYOUT, LINES, write_lines, write_utc

from dbt_project.check.__main__ import main as check


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The layout, and the folder with the lines."""
    raw = tmp_path_factory.mktemp("raw")
    layout = tmp_path_factory.mktemp("layout") / "chain.yml"
    write_lines(raw, layout)
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
    known = staged.rows("select source_file from build_files order by source_file")
    assert known == [("articles.csv",), ("sales_1.csv",), ("sales_2.csv.gz",)]


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
    assert read[:14] == [
        ("S1/1", "K1", "A1", *day, 2, 150, 200, None, False, *dairy),
        ("S1/2", "K1", "A1", *day, 1, 200, 200, None, True, *dairy),
        ("S1/3", "K1", "A1", *day, 1, 150, 200, 20, True, *dairy),
        ("S1/4", None, "A1", *day, 3, 200, 200, None, False, *dairy),
        ("S1/42", None, "A1", *day, 2, 150, 200, None, False, *dairy),
        ("S1/43", None, "A1", *day, 2, 150, 200, None, False, *dairy),
        ("S1/5", "K1", "A4", *day, 2, 150, 200, None, False, "Crème\nfraîche", None),
        ("S1/6", "K1", "501", 202414, "2024-04-01", 18, 2, 150, 200, None, False, None, None),
        ("S1/7", "K1", "A1", *day, 2, 0, 200, None, False, *dairy),
        ("S1/8", "K1", "F1", *day, 1, 5249, 5299, None, True, "Diesel", "FUEL"),
        ("S1/9", "K1", "007", *day, -1, -25, -25, None, False, None, None),
        ("S1/10", "K1", "A1", *day, -1, -150, -200, None, False, *dairy),
        ("S1/11", "K1", "A1", *day, -1, -200, -200, -10, True, *dairy),
        ("S1/12", "K1", "A1", *day, 2, -50, 100, None, False, *dairy),
    ]


def test_ids_of_several_columns_stay_apart(staged):
    read = staged.rows("select basket_id from stg_transactions where basket_id like '%2/45'")
    assert read == [("S1\\/2/45",), ("S1/2/45",)]


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


def test_parquet_utc_and_prices_of_a_unit(dbt, tmp_path):
    """Also of a file in which nothing else is said: one store, no customers. And a date without a
    time of day: it stays where it is, and is at 12 o'clock.
    """
    layout = tmp_path / "utc.yml"
    write_utc(tmp_path, layout)
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
    ({"lookups": "{articles.csv: Day = id}"}, "articles.csv: knows no day of any line, not even"),
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
