"""The history beside simulated weeks: which files, which weeks, and what stops."""

from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from worlds import columns, world

from simulator.history import join_history, main, shop_weeks_of
from trainer.cache.json_files import write_json

HEADER = "SHOP_WEEK,SHOP_DATE,SPEND\n"
WEEKS = [
    ("200607", "20060410", "20060416"), ("200608", "20060417", "20060423"),
    ("200609", "20060424", "20060430"), ("200610", "20060501", "20060507"),
]  # fmt: skip


def write_time(folder, weeks=WEEKS):
    folder.mkdir(exist_ok=True)
    rows = [("shop_week", "date_from", "date_to"), *weeks]
    (folder / "time.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def raw(tmp_path):
    """Weeks 1 to 3 of a calendar of three, each in a file of another kind."""
    folder = write_time(tmp_path / "raw", WEEKS[:3])
    (folder / "transactions_a.csv").write_text(f"{HEADER}200607,20060410,1\n")
    packed = gzip.compress(f"{HEADER}200608,20060417,1\n".encode())
    (folder / "Transactions_b.CSV.GZ").write_bytes(packed)
    table = pa.table({"spend": [1.0], "Shop_Week": [200609.0]})
    pa.parquet.write_table(table, folder / "transactions_c.parquet")
    (folder / "manual.pdf").write_text("")
    return folder


@pytest.fixture
def run(tmp_path):
    """Simulated weeks 3 and 4."""
    folder = write_time(tmp_path / "run")
    for week in ("200609", "200610"):
        (folder / f"transactions_{week}.csv").write_text(f"{HEADER}{week},20060425,1\n")
    return folder


def test_the_history_up_to_the_start_is_linked(raw, run):
    calendar = (run / "time.csv").read_bytes()
    join_history(raw, run, 2)
    assert sorted(path.name for path in run.iterdir()) == [
        "Transactions_b.CSV.GZ", "time.csv", "transactions_200609.csv", "transactions_200610.csv",
        "transactions_a.csv",
    ]  # fmt: skip
    assert (run / "transactions_a.csv").samefile(raw / "transactions_a.csv")
    assert (run / "time.csv").read_bytes() == calendar
    assert len((raw / "time.csv").read_text().splitlines()) == 1 + 3


def test_where_there_are_no_links_files_are_copied(raw, run, monkeypatch):
    def refuse(*_, **__):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    join_history(raw, run, 2)
    assert (run / "transactions_a.csv").read_bytes() == (raw / "transactions_a.csv").read_bytes()
    assert not (run / "transactions_a.csv").samefile(raw / "transactions_a.csv")


@pytest.mark.parametrize(
    ("text", "weeks"),
    [
        (f"{HEADER}200607,x,1\n200607,x,1\n200609,x,1\n", {200607, 200609}),
        ('\ufeffspend, "shop_week" \r\n1,"200607"\r\n2,200608.0\r\n', {200607, 200608}),
        (f"{HEADER}week,x,1\n\n200607\n", {200607}),
        (HEADER, set()),
    ],
)
def test_weeks_of_a_file(tmp_path, text, weeks):
    """Rows that the warehouse rejects are in no week."""
    path = tmp_path / "transactions.csv"
    path.write_text(text, newline="")
    assert shop_weeks_of(path) == weeks


def with_other_dates(raw, run):
    write_time(raw, [(week, first.replace("2006", "2007"), last.replace("2006", "2007"))
                     for week, first, last in WEEKS])  # fmt: skip


def with_a_week_between(raw, run):
    write_time(run, [WEEKS[0], *WEEKS[2:]])


def with_later_lines(raw, run):
    with (raw / "transactions_a.csv").open("a") as file:
        file.write("200609,20060425,1\n")


def with_one_name_twice(raw, run):
    (raw / "transactions_a.csv").rename(raw / "transactions_200609.csv")


def with_an_unknown_week(raw, run):
    write_time(raw, WEEKS[:1])


def with_a_bad_line(raw, run):
    write_time(raw, [*WEEKS[:2], ("200609", "20060424", "2006043x")])


def with_a_calendar_of_another_kind(raw, run):
    (raw / "time.csv").write_bytes("shop_week,date_from,date_to\n".encode("utf-16"))


def without_calendar(raw, run):
    (raw / "time.csv").unlink()


def with_another_layout(raw, run):
    (raw / "transactions_a.csv").write_text("week,spend\n200607,1\n")


def with_half_an_archive(raw, run):
    path = raw / "Transactions_b.CSV.GZ"
    path.write_bytes(path.read_bytes()[:-9])


def with_no_parquet(raw, run):
    (raw / "transactions_c.parquet").write_text("no")


def from_another_cache(raw, run):
    write_json(run.parent / "summary.json", {"cache_digest": "of another"})


def twice(raw, run):
    join_history(raw, run, 2)


def without_receipts(raw, run):
    for path in run.glob("transactions*"):
        path.unlink()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    found = columns(customers=3)
    found["weeks.shop_week"] = 200606 + np.arange(1, 31)
    return world(tmp_path_factory.mktemp("history") / "cache", found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_other_dates, "run/time.csv: its weeks are not those of "),
        (with_a_week_between, "its weeks are not those of "),
        (with_later_lines, "transactions_a.csv holds weeks up to 200608, where the history ends"),
        (with_one_name_twice, "transactions_200609.csv has the same name"),
        (with_an_unknown_week, "raw/time.csv: 1 weeks: there is no week 2"),
        (with_a_bad_line, "raw/time.csv: line 4: expected a week and two dates"),
        (with_a_calendar_of_another_kind, "raw/time.csv: cannot be read ("),
        (without_calendar, "raw holds no time.csv: only receipts in the layout lgsr"),
        (with_another_layout, "transactions_a.csv: no column SHOP_WEEK: only receipts"),
        (with_half_an_archive, "Transactions_b.CSV.GZ: cannot be read ("),
        (with_no_parquet, "transactions_c.parquet: cannot be read ("),
        (from_another_cache, "summary.json is of weeks simulated from another cache than "),
        (twice, "run: receipts from the first week on: is the history in it?"),
        (without_receipts, "run holds no receipts"),
    ],
)
def test_what_cannot_be_joined_ends_in_one_line(raw, run, cache, capsys, change, message):
    change(raw, run)
    before = sorted(run.iterdir())
    assert main([str(run), "--raw", str(raw), "--cache", str(cache.folder)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(run.iterdir()) == before


def test_the_command_says_how_to_go_on(raw, run, cache, capsys):
    assert main([str(run), "--raw", str(raw), "--cache", str(cache.folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{run}: history up to week 2, and 2 simulated weeks. Next:",
        f"RETAILSIM_RAW={run} RETAILSIM_DB={run}.duckdb dbt build --vars "
        '\'{"train_last_week": 20, "validation_last_week": 25, "test_last_week": 30}\'',
        f"python -m dbt_project.export --database {run}.duckdb --out {run}.cache "
        f"--like {cache.folder}",
    ]
