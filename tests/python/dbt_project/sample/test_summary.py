"""A moderate synthetic chain looks like LGSR, by the figures of dbt_project.summary."""

from __future__ import annotations

import datetime
import gzip
import json
import shutil

import pyarrow.parquet
import pytest

from dbt_project import summary

# Figure: tolerance, relative to LGSR's value. Left out is what depends on the size of the chain
# (rows, customers, stores per customer) or rests on a handful of products or customers. The
# tolerances hold for other seeds too; the widest are where the model itself is off.
TOLERANCE = {
    "items per basket, mean": 0.08,
    "items per basket, sd": 0.10,
    "items per basket, p90": 0.13,
    "items per basket, p99": 0.14,
    "baskets of 1 item": 0.08,
    "baskets of 2 items": 0.08,
    "baskets of 3 items": 0.08,
    "baskets of 5 items": 0.10,
    "anonymous share of baskets": 0.12,
    "anonymous share of rows": 0.15,
    "spend per item, pounds": 0.20,
    "size S": 0.10,
    "size M": 0.10,
    "size L": 0.10,
    "mean items, size L": 0.07,
    "mean items, size M": 0.05,
    "mean items, size S": 0.05,
    "type Small Shop": 0.10,
    "type Top Up": 0.12,
    "type Full Shop": 0.40,
    "type XX": 0.45,
    "mean items, type Full Shop": 0.12,
    "mean items, type Top Up": 0.12,
    "mean items, type Small Shop": 0.12,
    "mission Fresh": 0.12,
    "mission Grocery": 0.25,
    "mission Mixed": 0.20,
    "mission Nonfood": 0.55,
    "sensitivity MM": 0.12,
    "sensitivity LA": 0.25,
    "sensitivity UM": 0.25,
    "rows of top 1 % of products": 0.20,
    "rows of top 10 % of products": 0.08,
    "rows of top 50 % of products": 0.04,
    "rows of D00002": 0.12,
    "rows of D00003": 0.15,
    "quantity 1": 0.03,
    "quantity 3": 0.15,
    "product price p25, pounds": 0.12,
    "product price p50, pounds": 0.12,
    "product price p75, pounds": 0.12,
    "random-weight share of rows": 0.25,
    "repeat share, trips 1-5": 0.25,
    "repeat share, trips 6-20": 0.20,
    "repeat share, trips 21-60": 0.15,
    "repeat share, trips 61+": 0.08,
    "trips per customer, p50": 0.35,
    "trips per customer, p75": 0.25,
    "trips per customer, p90": 0.25,
    "trips at primary store": 0.10,
    "baskets at hour 08": 0.06,
    "baskets at hour 14": 0.06,
    "customers of segment CT": 0.20,
    "customers of segment DY": 0.45,
    "customers of stage BU": 0.15,
}


@pytest.fixture(scope="module")
def figures(write_chain):
    written = write_chain(customers=600, products=2000, stores=150, seed=1)
    return summary.summarise(written.folder)


def test_a_moderate_chain_resembles_lgsr(figures):
    off = {
        name: (figures[name], summary.LGSR[name])
        for name, tolerance in TOLERANCE.items()
        if abs(figures[name] / summary.LGSR[name] - 1) > tolerance
    }
    assert off == {}


def test_no_label_is_missing(figures):
    labels = ("size ", "type ", "mission ", "sensitivity ", "format ", "quantity ")
    wanted = {name for name in summary.LGSR if name.startswith(labels)}
    assert wanted <= set(figures)
    assert "quantity 2" not in figures


def test_quiet_weeks_and_late_arrivals(figures):
    assert 0.2 < figures["products first sold after week 1"] < 0.6
    assert 0.02 < figures["products first sold after 40 % of the weeks"] < 0.2
    assert figures["stores first seen after week 1"] > 0.04
    assert figures["first week of a customer, p75"] > 8


def test_random_weight_products_are_found_from_the_rows(chain):
    """The detector, which knows nothing of the truth, agrees with it at least for rows."""
    truth = chain.one(
        "select avg(random_weight::int) from item join products on PROD_CODE = product"
    )
    found = summary.summarise(chain.folder)["random-weight share of rows"]
    assert found == pytest.approx(truth, abs=0.01)
    assert truth > 0.05


@pytest.mark.parametrize("options", [{"format": "parquet"}, {"header": "new"}])
def test_formats_and_headers_give_the_same_figures(write_chain, tiny, options):
    one, other = write_chain(**tiny), write_chain(**tiny, **options)
    assert summary.summarise(one.folder) == pytest.approx(summary.summarise(other.folder))


def test_every_file_is_read_once_whatever_its_name(write_chain, tiny, tmp_path):
    """To DuckDB, brackets are a pattern, key=value a column and .GZ no ending."""
    folder = tmp_path / "STORE_CODE=ALL"
    written = write_chain(**tiny)
    shutil.copytree(written.folder, folder)
    first, second, third = sorted(folder.glob("transactions_*.csv"))[:3]
    first.rename(folder / "transactions_[1].csv")
    second.rename(folder / "transactions_1.CSV")
    header, lines = third.read_bytes().split(b"\n", 1)
    packed = gzip.compress(header.lower() + b"\n" + lines)
    (folder / "transactions_3.csv.GZ").write_bytes(packed)
    third.unlink()
    (folder / ".transactions_4.csv").write_text("no receipts")
    assert summary.summarise(folder) == pytest.approx(summary.summarise(written.folder))


def receipt(tmp_path, **changes):
    """A folder with one row of a Parquet file, all text but for what is changed."""
    row = (
        dict.fromkeys((*summary.COLUMNS, "SEG_1", "SEG_2"), "1")
        | {"SHOP_DATE": "20060413"}
        | changes
    )
    (tmp_path / "time.csv").write_text("shop_week,date_from,date_to\n1,20060410,20060416\n")
    table = pyarrow.table({name: pyarrow.array([value]) for name, value in row.items()})
    pyarrow.parquet.write_table(table, tmp_path / "transactions.parquet")
    return tmp_path


@pytest.mark.parametrize(
    "changes",
    [
        {"BASKET_ID": "12345678901234567890"}, {"BASKET_ID": "SIM1-1"}, {"CUST_CODE": 1},
        {"SEG_1": 1}, {"SHOP_DATE": "2006-04-13"}, {"SHOP_DATE": datetime.date(2006, 4, 13)},
        {"CUST_CODE": ""},
    ],
    ids=str,
)  # fmt: skip
def test_values_are_read_as_a_build_reads_them(tmp_path, changes):
    figures = summary.summarise(receipt(tmp_path, **changes))
    assert figures["baskets"] == 1
    assert figures["customers"] == (changes.get("CUST_CODE") != "")


def test_receipts_of_other_weeks_are_said(tmp_path, capsys):
    assert summary.main([str(receipt(tmp_path, SHOP_WEEK="2"))]) == 2
    assert "transactions* hold no row of a week of time.csv" in capsys.readouterr().err


def test_the_command_prints_a_table_and_writes_json(write_chain, tiny, tmp_path, capsys):
    written = write_chain(**tiny)
    path = tmp_path / "figures.json"
    assert summary.main([str(written.folder), "--json", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["figure", "here", "LGSR"]
    assert any(line.startswith("items per basket, mean") for line in lines)
    assert json.loads(path.read_text())["rows"] == written.facts["rows"]


def test_what_is_missing_is_named(write_chain, tiny, tmp_path, capsys):
    assert summary.main([str(tmp_path)]) == 2
    assert "time.csv is missing" in capsys.readouterr().err
    (tmp_path / "time.csv").write_text("shop_week,date_from,date_to\n200607,20060410,20060416\n")
    assert summary.main([str(tmp_path)]) == 2
    assert "holds no transactions*.csv" in capsys.readouterr().err
    (tmp_path / "transactions.csv").write_text("SHOP_WEEK,SPEND\n200607,1.00\n")
    assert summary.main([str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert "PROD_CODE" in message
    assert len(message.splitlines()) == 1
