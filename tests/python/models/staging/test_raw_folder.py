"""Which files of the folder are read: all with the right names, whatever else these contain."""

from __future__ import annotations

import gzip
import os

import pyarrow.csv
import pyarrow.parquet
import pytest
from receipts import TIME, line, write_raw

from dbt_project.check.__main__ import main as check

FOLDERS = [
    "{a,b}", "[1]", "a[!b]c", "what?", "*", "**", "store_code=ALL", "a b'c\"d", "100%20",
    "\u00fcber", "~", "{{ x }}", "c;d--",
]  # fmt: skip
NAMES = [
    "transactions_200607[1].csv", "transactions_2006071.csv", "Transactions_200608.csv",
    "TRANSACTIONS_200609.CSV", "transactions*.csv", "transactions_?.csv", "transactions {x,y}.csv",
    "transactions_cust_code=X.csv", "transactions 'q' \"r\".csv", "transactions_50%.csv",
    "transactions_\u00e4\u65e5.csv", "transactions.2006.csv", "transactions;--.csv",
    "transactions_\n.csv",
]  # fmt: skip
PACKED = ["transactions_q?.csv.gz", "transactions_200610.CSV.GZ"]
IGNORED = [
    ".transactions_200610.csv", "_transactions_200611.csv", "README.md", "notes.txt", "manual.pdf",
    "columns.json", "Time.txt", "transaction.log",
]  # fmt: skip


@pytest.fixture(scope="module")
def everything(dbt, tmp_path_factory):
    """Folders of odd names one within the other, with files of odd names in the last."""
    folder = tmp_path_factory.mktemp("raw").joinpath(*FOLDERS)
    for number, name in enumerate(NAMES):
        write_raw(folder, [line(basket_id=f"B{number}", store_code=f"S{number}")], name=name)
    (folder / "time.csv").rename(folder / "Time.CSV")
    for name in ("transactions_200607[2].parquet", "transactions_200607_.parquet"):
        table = pyarrow.csv.read_csv(folder / NAMES[0])
        pyarrow.parquet.write_table(table, folder / name)
    for name in PACKED:
        (folder / name).write_bytes(gzip.compress((folder / NAMES[0]).read_bytes()))
    for name in IGNORED:
        (folder / name).write_text("not a receipt")
    # Never read: subfolders, whatever they are called.
    write_raw(folder / "transactions_200612", [line()])
    write_raw(folder / "more", [line()])
    return dbt("run", "--select", "staging", raw=folder)


def test_every_file_is_read_once(everything):
    assert everything.returncode == 0, everything.output
    parquet = ["transactions_200607[2].parquet", "transactions_200607_.parquet"]
    assert everything.rows("select source_file from stg_transactions order by rowid") == [
        (name,) for name in sorted(NAMES + PACKED + parquet)
    ]
    # By these a later build knows which files are new.
    known = everything.rows("select source_file from build_files where source_file != 'Time.CSV'")
    assert sorted(known) == [(name,) for name in sorted(NAMES + PACKED + parquet)]


def test_names_override_no_column(everything):
    codes = everything.rows(
        "select source_file, basket_id, store_code, customer_code from stg_transactions"
    )
    read = {file: codes for file, *codes in codes}
    for number, name in enumerate(NAMES):
        assert read[name] == [f"B{number}", f"S{number}", "CUST0000000001"]
    assert read["transactions_200607[2].parquet"][1] == "S0"


def test_the_calendar_is_found_in_capitals(everything):
    assert everything.value("select count(*) from stg_weeks") == 3


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("raw//", None),
        ("raw/missing", "no transactions*.csv, .csv.gz or .parquet in the folder"),
        ("raw/time.csv", "RETAILSIM_RAW is the file"),
        ("", "RETAILSIM_RAW is \"\""),
        ("raw\\more", "Expected the path of a folder"),
    ],
)  # fmt: skip
def test_the_setting(dbt, tmp_path, folder, told):
    raw = write_raw(tmp_path / "raw", [line()])
    setting = f"{tmp_path}/{folder}" if folder else ""
    result = dbt(
        "run", "--select", "stg_transactions", raw=raw, environment={"RETAILSIM_RAW": setting}
    )
    assert (result.returncode == 0) == (told is None), result.output
    assert told is None or told in " ".join(result.output.split())


@pytest.mark.parametrize(("name", "shown"), [(b"M\xe4rz", "M\ufffdrz"), (b"2024\\M", "2024\\M")])
def test_a_name_that_duckdb_cannot_say_is_shown(dbt, tmp_path, capsys, name, shown):
    """As archives of other systems leave them. DuckDB stops at one file, naming none, and does not
    see the other."""
    raw = write_raw(tmp_path, [line()])
    (raw / os.fsdecode(name)).mkdir()
    (raw / os.fsdecode(name + b".txt")).write_text("not a receipt")
    told = f"{raw}/{shown}.txt: its name is not UTF-8, or holds a \\. Rename it"
    result = dbt("run", "--select", "staging", raw=raw)
    assert result.returncode != 0
    assert told in result.output
    assert check([str(raw)]) == 2
    assert told in capsys.readouterr().err


def test_a_selection_sees_a_file_added_later(dbt, tmp_path):
    raw = write_raw(tmp_path, [line()])
    kept = dbt("run", "--select", "staging", raw=raw)
    assert kept.rows("select source_file from stg_transactions") == [("transactions_200607.csv",)]
    write_raw(raw, [line(basket_id="2")], name="transactions_200608.csv")
    (raw / "time.csv").write_text(TIME + "200610,20060501,20060507\n")
    dbt("run", "--select", "stg_transactions", raw=raw, into=kept)
    assert kept.value("select count(*) from stg_transactions") == 2
    assert kept.value("select count(*) from stg_weeks") == 3
    dbt("run", "--select", "stg_weeks", raw=raw, into=kept)
    assert kept.value("select count(*) from stg_weeks") == 4


def test_totals_tell_a_file_that_was_not_read(dbt, tmp_path):
    """What is staged is compared with the files, and not with what was read of them."""
    raw = write_raw(tmp_path, [line()])
    kept = dbt("run", "--select", "stg_transactions", raw=raw)
    table = pyarrow.csv.read_csv(raw / "transactions_200607.csv")
    pyarrow.parquet.write_table(table, raw / "transactions_200608.parquet")
    write_raw(raw, [line(spend="1.25"), line(spend="x"), line(spend="-0.01")])
    result = dbt("test", "--select", "raw_totals_are_staged", raw=raw, into=kept)
    assert result.returncode == 1
    told = " ".join(result.output.split())
    assert "transactions_200607.csv holds 124 pence, but 1 rows and 93 pence are staged" in told
    assert (
        "transactions_200608.parquet holds 1 rows and 93 pence, but 0 rows and 0 pence are staged"
        in told
    )
