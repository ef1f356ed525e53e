"""Files that break the contract as a whole stop the build, named, with what was expected."""

from __future__ import annotations

import gzip

import pytest
from receipts import HEADER, TIME, line, write_raw


def no_files(folder):
    (folder / "time.csv").write_text(TIME)


def no_time(folder):
    write_raw(folder, [line()])
    (folder / "time.csv").unlink()


def missing_column(folder):
    columns = HEADER.split(",")
    del columns[columns.index("SPEND")]
    write_raw(folder, [line()], header=",".join(columns))


def misnamed_column(folder):
    write_raw(folder, [line()], header=HEADER.replace("STORE_REGION", "REGION"))


def doubled_column(folder):
    write_raw(folder, [line() + ",x"], header=HEADER + ",SPEND")


def empty_file(folder):
    write_raw(folder, [line()])
    (folder / "transactions_200608.csv").write_text("")


def semicolons(folder):
    write_raw(folder, [line().replace(",", ";")], header=HEADER.replace(",", ";"))


def tabs(folder):
    write_raw(folder, [line().replace(",", "\t")], header=HEADER.replace(",", "\t"))


def no_header(folder):
    write_raw(folder, [line(basket_id="2")], header=line())


def archive(folder):
    write_raw(folder, [line()])
    (folder / "transactions_200608.zip").write_bytes(b"PK")


def same_week_twice(folder):
    write_raw(folder, [line()])
    write_raw(folder, [line()], name="transactions_200607.CSV")


def time_without_column(folder):
    write_raw(folder, [line()])
    (folder / "time.csv").write_text(TIME.replace("date_to", "until"))


def time_with_unreadable_date(folder):
    write_raw(folder, [line()])
    (folder / "time.csv").write_text(TIME.replace("20060430", "30 April"))


def time_backwards(folder):
    write_raw(folder, [line()])
    (folder / "time.csv").write_text(TIME + "200610,20060507,20060501\n")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (no_files, ["transactions*", "RETAILSIM_RAW", "python -m dbt_project.sample"]),
        (no_time, ["time.csv", "shop_week,date_from,date_to"]),
        (missing_column, ["transactions_200607.csv", "column SPEND missing", "Expected"]),
        (misnamed_column, ["transactions_200607.csv", "column STORE_REGION missing", "REGION"]),
        (doubled_column, ["transactions_200607.csv", "SPEND", "more than once"]),
        (empty_file, ["transactions_200608.csv", "is empty"]),
        (semicolons, ["transactions_200607.csv", "wrong delimiter", "semicolons"]),
        (tabs, ["transactions_200607.csv", "wrong delimiter", "tabs"]),
        (no_header, ["transactions_200607.csv", "SHOP_WEEK", "missing", "Found: 200607,20060413"]),
        (archive, ["transactions_200608.zip", ".csv.gz or .parquet", "unpack"]),
        (same_week_twice, ["transactions_200607.csv", "Keep one of the two"]),
        (time_without_column, ["time.csv", "column DATE_TO missing"]),
        (time_with_unreadable_date, ["time.csv", "30 April", "Expected"]),
        (time_backwards, ["time.csv", "200610,20060507,20060501"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_stops(dbt, tmp_path, spoil, named):
    spoil(tmp_path)
    result = dbt("run", "--select", "staging", raw=tmp_path)
    assert result.returncode != 0
    told = " ".join(result.output.split())
    assert "Raw data:" in told
    for part in named:
        assert part in told
    assert "Traceback" not in told


def test_the_real_command_stops(dbt_command, tmp_path):
    """Everywhere else dbt runs inside the process of the tests."""
    raw, folder = tmp_path / "raw", tmp_path / "dbt"
    raw.mkdir()
    folder.mkdir()
    no_files(raw)
    result = dbt_command("run", "--select", "staging", raw=raw, folder=folder)
    assert result.returncode == 1
    assert "Raw data: nothing found" in " ".join(result.output.split())
    assert "Traceback" not in result.output


def cut_archive(folder):
    lines = [line(basket_id=str(n)) for n in range(2000)]
    whole = write_raw(folder, lines) / "transactions_200607.csv"
    packed = gzip.compress(whole.read_bytes())
    (folder / "transactions_200607.csv.gz").write_bytes(packed[: len(packed) // 2])
    whole.unlink()


def not_utf8(folder):
    path = write_raw(folder, [line(store_region="N\u00f6rd")]) / "transactions_200607.csv"
    path.write_bytes(path.read_text().encode("latin-1"))


@pytest.mark.parametrize("spoil", [cut_archive, not_utf8])
def test_damaged_files_stop_the_build_by_name(dbt, tmp_path, spoil):
    spoil(tmp_path)
    result = dbt("run", "--select", "staging", raw=tmp_path)
    assert result.returncode != 0
    assert "transactions_200607.csv" in result.output
    assert "Traceback" not in result.output


def test_overlapping_weeks_stop_the_build(dbt, tmp_path):
    write_raw(tmp_path, [line()])
    (tmp_path / "time.csv").write_text(TIME + "200610,20060430,20060506\n")
    result = dbt("build", raw=tmp_path)
    assert result.returncode == 1
    assert "Failure in test weeks_do_not_overlap" in result.output


def test_headers_without_rows_stop_the_build(dbt, tmp_path):
    raw = write_raw(tmp_path, [])
    result = dbt("build", "--select", "+there_are_trips", raw=raw)
    assert result.returncode == 1
    assert "Failure in test there_are_trips" in result.output
