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


def folder_of_parts(folder):
    """As Spark writes what it calls a file."""
    write_raw(folder, [line()])
    (folder / "transactions_200608.parquet").mkdir()


def link_to_nothing(folder):
    write_raw(folder, [line()])
    (folder / "Transactions_200608.csv").symlink_to(folder / "unmounted" / "a.csv")


def same_week_twice(folder):
    write_raw(folder, [line()])
    write_raw(folder, [line()], name="transactions_200607.CSV")


def blank_first_line(folder):
    write_raw(folder, [line()], header="\n" + HEADER)


def comma_in_a_column_name(folder):
    write_raw(folder, [line() + ",1"], header=HEADER + ',"Price, incl. tax"')


def utf16(folder):
    path = write_raw(folder, [line()]) / "transactions_200607.csv"
    path.write_bytes(path.read_text().encode("utf-16"))


def utf16_without_mark(folder):
    path = write_raw(folder, [line()]) / "transactions_200607.csv"
    path.write_bytes(path.read_text().encode("utf-16-le"))


def not_utf8(folder):
    lines = [line(), line(basket_id="2", store_region="N\u00f6rd"), line(basket_id="3")]
    path = write_raw(folder, lines) / "transactions_200607.csv"
    path.write_bytes(path.read_text().encode("latin-1"))


def carriage_returns_within_lines(folder):
    lines = [line(basket_id="2"), line(basket_id="3", store_region="E02\r200607,x"), line()]
    path = write_raw(folder, lines) / "transactions_200607.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def line_ends_converted_twice(folder):
    path = write_raw(folder, [line(), line(basket_id="2")]) / "transactions_200607.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\r\n"))


def endless_line(folder):
    write_raw(folder, [line(), "x" * 2_000_001])


def table_of_another_name(folder):
    write_raw(folder, [line()])
    (folder / "Receipts 2006.XLSX").write_bytes(b"PK")


def compressed_calendar(folder):
    write_raw(folder, [line()])
    (folder / "time.csv.gz").write_bytes(gzip.compress(TIME.encode()))


def two_calendars(folder):
    write_raw(folder, [line()])
    (folder / "TIME.csv").write_text(TIME)


def misspelt_transactions(folder):
    write_raw(folder, [line()])
    write_raw(folder, [line()], name="transaction_200608.csv")


def unfinished_download(folder):
    write_raw(folder, [line()])
    write_raw(folder, [line()], name="transactions_200608.csv.part")


def time_without_column(folder):
    write_raw(folder, [line()])
    (folder / "time.csv").write_text(TIME.replace("date_to", "until"))


def time_with_unreadable_date(folder):
    write_raw(folder, [line()])
    (folder / "time.csv").write_text(TIME.replace("20060430", "30 April"))


def time_with_missing_date(folder):
    write_raw(folder, [line()])
    (folder / "time.csv").write_text(TIME.replace("20060430", "NULL"))


def time_with_date_cut_short(folder):
    write_raw(folder, [line()])
    (folder / "time.csv").write_text(TIME.replace("20060430", "2006043"))


def time_of_a_century(folder):
    write_raw(folder, [line()])
    (folder / "time.csv").write_text(TIME.replace("20060430", "21060430"))


def time_with_a_field_more(folder):
    write_raw(folder, [line()])
    (folder / "time.csv").write_text(TIME + "200610,20060501,20060507,x\n")


def time_backwards(folder):
    write_raw(folder, [line()])
    (folder / "time.csv").write_text(TIME + "200610,20060507,20060501\n")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (no_files, ["no transactions*", "RETAILSIM_RAW", "python -m dbt_project.sample"]),
        (no_time, ["time.csv", "shop_week,date_from,date_to"]),
        (missing_column, ["transactions_200607.csv", "column SPEND missing", "Expected"]),
        (misnamed_column, ["transactions_200607.csv", "column STORE_REGION missing", "REGION"]),
        (doubled_column, ["transactions_200607.csv", "SPEND", "more than once"]),
        (empty_file, ["transactions_200608.csv", "is empty"]),
        (semicolons, ["transactions_200607.csv", "wrong delimiter", "semicolons"]),
        (tabs, ["transactions_200607.csv", "wrong delimiter", "tabs"]),
        (no_header, ["transactions_200607.csv", "SHOP_WEEK", "missing", "Found: 200607,20060413"]),
        (archive, ["transactions_200608.zip", ".csv.gz or .parquet", "unpack"]),
        (folder_of_parts, ["transactions_200608.parquet: not a file", "Move the files"]),
        (link_to_nothing, ["Transactions_200608.csv: not a file", "a link that leads nowhere"]),
        (same_week_twice, ["transactions_200607.csv", "Keep one of the two"]),
        (blank_first_line, ["transactions_200607.csv", "the first line is blank"]),
        (comma_in_a_column_name, ["transactions_200607.csv", "a column name with a comma"]),
        (utf16, ["transactions_200607.csv", "not UTF-8"]),
        (utf16_without_mark, ["transactions_200607.csv", "NUL characters", "UTF-16"]),
        (not_utf8, ["transactions_200607.csv", "not UTF-8 in line 3"]),
        (carriage_returns_within_lines, ["transactions_200607.csv", "carriage returns"]),
        (line_ends_converted_twice, ["transactions_200607.csv", "carriage returns"]),
        (table_of_another_name, ["Receipts 2006.XLSX: not read", "subfolder"]),
        (compressed_calendar, ["time.csv.gz: not read"]),
        (two_calendars, ["a second calendar beside TIME.csv"]),
        (misspelt_transactions, ["transaction_200608.csv: not read"]),
        (unfinished_download, ["transactions_200608.csv.part: this kind of file is not read"]),
        (time_without_column, ["time.csv", "column DATE_TO missing"]),
        (time_with_unreadable_date, ["time.csv", "30 April", "Expected"]),
        (time_with_missing_date, ["time.csv", "200609,20060424,NULL"]),
        (time_with_date_cut_short, ["time.csv", "200609,20060424,2006043"]),
        (time_with_a_field_more, ["time.csv", "200610,20060501,20060507,x"]),
        (time_backwards, ["time.csv", "200610,20060507,20060501"]),
        (time_of_a_century, ["time.csv", "200609,20060424,21060430", "less than a month"]),
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
    assert "Raw data: no transactions*.csv" in " ".join(result.output.split())
    assert "Traceback" not in result.output


def cut_archive(folder):
    lines = [line(basket_id=str(n)) for n in range(2000)]
    whole = write_raw(folder, lines) / "transactions_200607.csv"
    packed = gzip.compress(whole.read_bytes())
    (folder / "transactions_200607.csv.gz").write_bytes(packed[: len(packed) // 2])
    whole.unlink()


def changed_in_an_archive(folder):
    """A changed byte that can be unpacked, and only the check sum tells."""
    whole = write_raw(folder, [line()]) / "transactions_200607.csv"
    packed = gzip.compress(whole.read_bytes(), compresslevel=0)
    assert packed.count(b"STORE00001") == 1
    (folder / "transactions_200607.csv.gz").write_bytes(
        packed.replace(b"STORE00001", b"STORE00003")
    )
    whole.unlink()


def no_parquet(folder):
    (write_raw(folder, [line()]) / "transactions_200607.csv").rename(
        folder / "transactions_200607.parquet"
    )


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (cut_archive, "transactions_200607.csv.gz: damaged or cut short"),
        (changed_in_an_archive, "transactions_200607.csv.gz: damaged or cut short"),
        (no_parquet, "transactions_200607.parquet: damaged or cut short"),
        (endless_line, "transactions_200607.csv: line 3 is longer than 2 MB"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_damaged_files_stop_the_build_by_name(dbt, tmp_path, spoil, told):
    spoil(tmp_path)
    result = dbt("run", "--select", "staging", raw=tmp_path)
    assert result.returncode != 0
    assert told in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_overlapping_weeks_stop_the_build(dbt, tmp_path):
    write_raw(tmp_path, [line()])
    (tmp_path / "time.csv").write_text(TIME + "200610,20060430,20060506\n")
    result = dbt("build", raw=tmp_path)
    assert result.returncode == 1
    assert "Failure in test weeks_do_not_overlap" in result.output


def test_weeks_that_are_left_out_are_said(dbt, tmp_path):
    raw = write_raw(tmp_path, [line()])
    (raw / "time.csv").write_text(TIME.replace("200608,20060417,20060423\n", ""))
    warehouse = dbt("run", "--select", "stg_weeks", raw=raw)
    result = dbt("test", "--select", "weeks_follow_each_other", raw=raw, into=warehouse)
    assert result.returncode == 0
    said = " ".join(result.output.split())
    assert "no week holds the days between 2006-04-16 and 2006-04-24. List weeks without" in said


def test_a_header_alone_is_said(dbt, tmp_path):
    raw = write_raw(tmp_path, [line()])
    write_raw(tmp_path, [], name="transactions_200608.csv")
    warehouse = dbt("run", "--select", "+files_read", raw=raw)
    result = dbt("test", "--select", "every_file_has_rows", raw=raw, into=warehouse)
    assert result.returncode == 0
    assert "transactions_200608.csv: no rows. Is it complete?" in result.output
    assert "transactions_200607.csv: no rows" not in result.output


def test_headers_without_rows_stop_the_build(dbt, tmp_path):
    raw = write_raw(tmp_path, [])
    result = dbt("build", "--select", "+there_are_trips", raw=raw)
    assert result.returncode == 1
    assert "Failure in test there_are_trips" in result.output
