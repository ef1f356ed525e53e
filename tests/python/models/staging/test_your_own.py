"""docs/your_own_receipts.md, step by step: its files are checked, its layout is written, and with
it a whole chain is built, tested and exported. The warehouse is that of the same receipts in the
publisher's layout.
"""

from __future__ import annotations

import json
import os
import shutil
from unittest import mock

import pytest
from futures import SPLIT, scramble
from own_chain import DOCUMENT, documented, write, write_own_chain

from dbt_project.check.__main__ import main as check
from dbt_project.export.__main__ import main as export


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The document's files."""
    folder = tmp_path_factory.mktemp("example")
    for name in ("sales_2024-01.csv", "articles.csv", "stores.csv"):
        write(folder, name, documented(name))
    return folder


def test_check_writes_the_layout_of_the_document(example, tmp_path, capsys):
    out = tmp_path / "my.yml"
    assert check([str(example), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    shown = DOCUMENT.read_text(encoding="utf-8").split("each file:\n\n```\n")[1].split("```")[0]
    assert shown in printed
    assert (
        out.read_text()
        == DOCUMENT.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    )
    assert f"RETAILSIM_LAYOUT={out} RETAILSIM_RAW={example} dbt build" in printed
    # Never over another file.
    assert check([str(example), "--out", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_check_names_the_lines_beside_years_without_any(example, tmp_path, capsys):
    shutil.copytree(example, tmp_path / "raw")
    sales = tmp_path / "raw" / "sales_2024-01.csv"
    *lines, last = sales.read_text(encoding="latin-1").splitlines()
    assert "2024" in last
    sales.write_text("\n".join([*lines, last.replace("2024", "2042")]) + "\n", encoding="latin-1")
    assert check([str(tmp_path / "raw")]) == 0
    told = capsys.readouterr().out
    assert "and 2042-01-" in told and f"(sales_2024-01.csv, line {len(lines) + 1})" in told
    assert "warning: no line between 2024-01-" in told


def test_check_names_files_that_the_layout_leaves_out(example, tmp_path, capsys):
    shutil.copytree(example, tmp_path / "raw")
    layout = tmp_path / "my.yml"
    layout.write_text(DOCUMENT.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0])
    assert check([str(tmp_path / "raw"), "--layout", str(layout)]) == 0
    assert "warning" not in capsys.readouterr().out
    for name in ("sales_2024-02.csv", "[plans].Parquet", ".hidden.csv", "manual.pdf"):
        (tmp_path / "raw" / name).write_text("")
    assert check([str(tmp_path / "raw"), "--layout", str(layout)]) == 0
    told = capsys.readouterr().out
    assert "warning: [plans].Parquet and 1 more: not read, since the layout names it" in told


@pytest.fixture(scope="module")
def own(dbt, chain, tmp_path_factory):
    """The chain's warehouse, built with every test; folder and layout; lines that are no sale."""
    raw = tmp_path_factory.mktemp("own_raw")
    added = write_own_chain(chain, raw)
    layout = tmp_path_factory.mktemp("own_layout") / "my.yml"
    text = DOCUMENT.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    layout.write_text(text.replace("sales_2024-01.csv", "sales_*.csv"))
    built = dbt("build", raw=raw, layout=layout)
    assert built.returncode == 0, built.output
    return built, raw, layout, added


TRIPS = """
    select
        store_code, shop_date::varchar, shop_hour, customer_code, product_code,
        trip_items.quantity, trip_items.spend_pence, split, week
    from trip_items
    join trips using (trip_key)
    join stores using (store_key)
    join products using (product_key)
    left join customers using (customer_key)
    order by all
"""


def test_the_same_receipts_are_the_same_trips(own, warehouse):
    built, *_, added = own
    assert built.rows(TRIPS.replace("split, week", "1")) == warehouse.rows(
        TRIPS.replace("split, week", "1")
    )
    assert (
        dict(built.rows("select set_aside_reason, count(*) from set_aside_rows group by 1"))
        == added
    )
    assert built.value("select count(*) from rejected_rows") == 0
    count = "select count(*), sum(spend_pence)::bigint from trips"
    assert built.rows(count) == warehouse.rows(count)
    stores = "select store_code, store_format, store_region from stores order by 1"
    assert built.rows(stores) == warehouse.rows(stores)


def test_it_is_exported(own, tmp_path, capsys):
    built, _, layout, _ = own
    environment = {"RETAILSIM_DB": str(built.path), "RETAILSIM_LAYOUT": str(layout)}
    with mock.patch.dict(os.environ, environment):
        assert export(["--out", str(tmp_path / "cache")]) == 0, capsys.readouterr().err


def test_check_finds_the_layout_of_the_chain(own, tmp_path, capsys):
    """With all its months, from names and contents of the columns alone."""
    _, raw, layout, _ = own
    out = tmp_path / "found.yml"
    assert check([str(raw), "--lines", "1000", "--out", str(out)]) == 0
    assert out.read_text() == layout.read_text()
    assert "(the first 1,000 of each file)" in capsys.readouterr().out


def test_later_weeks_change_no_kind_of_trip(own, warehouse, dbt, chain, tmp_path):
    """Kinds are derived here, with bounds of the training weeks."""
    built, _, layout, _ = own
    first, day = warehouse.rows("select shop_week, date_from::varchar from weeks where week = 81")[
        0
    ]
    changed_chain, raw = tmp_path / "chain", tmp_path / "raw"
    changed_chain.mkdir()
    raw.mkdir()
    scramble(chain, changed_chain, first)
    shutil.copytree(chain / "truth", changed_chain / "truth")
    write_own_chain(changed_chain, raw)
    changed = dbt(
        "run", "--quiet", "--select", "+int_trips", "--vars", json.dumps(SPLIT),
        raw=raw, layout=layout,
    )  # fmt: skip
    assert changed.returncode == 0, changed.output
    kinds = (
        "select basket_id, basket_size, trip_type, trip_focus, trip_price_sensitivity"
        " from int_trips where shop_date {} '{}' order by basket_id"
    )
    before = built.rows(kinds.format("<", day))
    assert len({row[1:] for row in before}) > 30
    assert changed.rows(kinds.format("<", day)) == before
    assert changed.rows(kinds.format(">=", day)) != built.rows(kinds.format(">=", day))
