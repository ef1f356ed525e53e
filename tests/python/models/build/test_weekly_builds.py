"""Weekly builds: new files are read alone, and what comes of them is what a full build makes."""

from __future__ import annotations

import gzip
import os
import random
import shutil
from pathlib import Path

import duckdb
import pytest
from kinds_of_lines import ARTICLES, HEADER, LAYOUT, line

SPLIT = ("--vars", "{train_last_week: 6, validation_last_week: 8, test_last_week: 20}")
WEEKS = 12


@pytest.fixture(scope="module")
def raw(shared) -> Path:
    from dbt_project.sample import ChainConfig, generate_chain

    config = ChainConfig(customers=40, products=100, stores=3, weeks=WEEKS)
    return shared("chain_of_weeks", lambda folder: generate_chain(config, folder))


def receipts(folder: Path) -> list[Path]:
    return sorted(folder.glob("transactions_*.csv"))


def first_files(raw: Path, count: int, folder: Path) -> Path:
    """A folder with the calendar and the first files of a chain, with their times."""
    folder.mkdir()
    for path in [raw / "time.csv", *receipts(raw)[:count]]:
        shutil.copy2(path, folder)
    return folder


@pytest.fixture(scope="module")
def begun(dbt, raw, tmp_path_factory):
    """The warehouse of all weeks but two, and its raw folder."""
    folder = first_files(raw, WEEKS - 2, tmp_path_factory.mktemp("begun") / "raw")
    result = dbt("run", *SPLIT, raw=folder)
    assert result.returncode == 0, result.output
    return result, folder


@pytest.fixture
def going_on(begun, tmp_path):
    """A copy of both to go on with."""
    warehouse, raw = begun
    shutil.copytree(raw, tmp_path / "raw")
    shutil.copy(warehouse.path, tmp_path / "warehouse.duckdb")
    return type(warehouse)(tmp_path / "warehouse.duckdb"), tmp_path / "raw"


def differences(one: Path, other: Path) -> list[str]:
    """Tables whose rows are not the same to the last bit, the build's own left out."""
    with duckdb.connect() as connection:
        for name, path in (("one", one), ("other", other)):
            connection.execute(f"attach '{path}' as {name} (read_only)")
        tables = connection.execute(
            "select distinct table_name from information_schema.tables "
            "where table_type = 'BASE TABLE' and not starts_with(table_name, 'build_') order by all"
        ).fetchall()
        assert len(tables) > 60
        return [
            table
            for (table,) in tables
            for first, second in (("one", "other"), ("other", "one"))
            if connection.execute(
                f"from (from {first}.{table} except all from {second}.{table}) limit 1"
            ).fetchall()
        ]


def test_week_after_week_is_what_a_full_build_makes(dbt, raw, going_on):
    warehouse, folder = going_on
    for path in receipts(raw)[-2:]:
        shutil.copy2(path, folder)
        result = dbt("run", *SPLIT, raw=folder, into=warehouse)
        assert result.returncode == 0, result.output
        assert f"Weekly build: adds {path.name}\n" in result.output
    full = dbt("run", *SPLIT, raw=folder)
    assert "eekly build" not in full.output
    assert differences(warehouse.path, full.path) == []


def test_a_week_without_receipts_may_lie_between(dbt, raw, going_on):
    """What was known before it, as the week after the last, is not known of it any more."""
    warehouse, folder = going_on
    shutil.copy2(receipts(raw)[-1], folder)
    result = dbt("run", *SPLIT, raw=folder, into=warehouse)
    assert result.returncode == 0 and "Weekly build: adds" in result.output
    full = dbt("run", *SPLIT, raw=folder)
    assert differences(warehouse.path, full.path) == []


@pytest.mark.parametrize(
    ("weeks", "unknown"),
    [(slice(-3, None), "209901"), (slice(2, 5), "-5")],
    ids=["later", "of training"],
)
def test_late_and_spoiled_lines_come_to_the_same(dbt, raw, going_on, weeks, unknown):
    """A file with lines of four weeks: baskets that are in two files, used ids, contradictions,
    repeated products, an unknown week, new products and customers, what is rejected.
    """
    warehouse, folder = going_on
    draw = random.Random(5)
    header, *new = receipts(raw)[-2].read_text().splitlines()
    names = header.lower().split(",")
    late = [
        text.split(",")
        for path in receipts(folder)[weeks]
        for text in draw.sample(path.read_text().splitlines()[1:], 30)
    ]
    changes = [
        {},  # repeats a line that was read before
        {"prod_code": "PRD0999999", "prod_code_40": "D00000"},
        {"store_code": "STORE00001", "prod_code": "PRD0900001"},  # contradicts its basket, mostly
        {"basket_id": "777", "cust_code": "CUST0000999999", "seg_1": "CT"},
        {"shop_week": unknown},
        {"quantity": "none"},
    ]
    for row in late:
        for name, value in draw.choice(changes).items():
            row[names.index(name)] = value
    # One of the new baskets has the id of an early one.
    place = names.index("basket_id")
    used = receipts(folder)[1].read_text().splitlines()[1].split(",")[place]
    new = [text.replace(new[0].split(",")[place], used) for text in new]
    lines = [*new, *(",".join(row) for row in late)]
    draw.shuffle(lines)
    (folder / "transactions_late.csv").write_text("\n".join([header, *lines]) + "\n")
    weekly = dbt("run", *SPLIT, raw=folder, into=warehouse)
    assert weekly.returncode == 0 and "Weekly build: adds transactions_late" in weekly.output
    full = dbt("run", *SPLIT, raw=folder)
    assert differences(weekly.path, full.path) == []
    reasons = {reason for (reason,) in full.rows("select reject_reason from rejected_rows")}
    assert {"basket with several stores", "duplicate of basket and product"} <= reasons
    assert {"shop_week not in the calendar", "basket_id used in an earlier week"} <= reasons


def test_what_did_not_change_is_not_read_again(dbt, raw, going_on):
    """The old files are no receipts any more, but as large and as old as they were."""
    warehouse, folder = going_on
    for path in receipts(folder):
        status = path.stat()
        path.write_bytes(b"?" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    shutil.copy2(receipts(raw)[-2], folder)
    result = dbt("build", *SPLIT, raw=folder, into=warehouse)
    assert "Weekly build: adds" in result.output
    assert result.returncode == 0, result.output


def spoiled_name(folder: Path, name: str) -> None:
    """A file that stops the build as soon as it is read."""
    (folder / name).write_text("no such columns\n1\n")


@pytest.mark.parametrize(
    ("arguments", "change", "said"),
    [
        (SPLIT, lambda folder: None, "Weekly build: adds transactions_900000.csv"),
        (SPLIT, lambda folder: spoiled_name(folder, "transactions_900001.csv"), "adds transactions_900000.csv and 1 more"),
        (SPLIT, lambda folder: spoiled_name(folder, "transactions_1.csv"), "Full build, since transactions_1.csv comes before"),
        (SPLIT, lambda folder: os.utime(receipts(folder)[3], (1, 1)), "Full build, since transactions_2006"),
        (SPLIT, lambda folder: receipts(folder)[3].unlink(), "was changed or removed"),
        (SPLIT, lambda folder: os.utime(folder / "time.csv", (1, 1)), "Full build, since time.csv was changed"),
        ((), lambda folder: None, "Full build, since without the vars train_last_week, validation"),
        (("--vars", "{train_last_week: 5, validation_last_week: 8, test_last_week: 20}"), lambda folder: None, "Full build, since the project or its vars were changed"),
        ((*SPLIT, "--full-refresh"), lambda folder: None, None),
        ((*SPLIT, "--select", "stg_transactions"), lambda folder: None, None),
    ],
)  # fmt: skip
def test_which_builds_are_weekly(dbt, going_on, arguments, change, said):
    warehouse, folder = going_on
    change(folder)
    spoiled_name(folder, "transactions_900000.csv")
    result = dbt("run", *arguments, raw=folder, into=warehouse)
    assert result.returncode == 1
    if said:
        assert said in result.output
    else:
        assert " build: " not in result.output and "Full build" not in result.output


def test_after_a_build_that_failed_comes_a_full_one(dbt, raw, going_on):
    warehouse, folder = going_on
    spoiled_name(folder, "transactions_900000.csv")
    assert dbt("run", *SPLIT, raw=folder, into=warehouse).returncode == 1
    (folder / "transactions_900000.csv").unlink()
    shutil.copy2(receipts(raw)[-2], folder)
    result = dbt("run", *SPLIT, raw=folder, into=warehouse)
    assert result.returncode == 0, result.output
    assert "eekly build" not in result.output
    again = dbt("run", *SPLIT, raw=folder)
    assert differences(warehouse.path, again.path) == []


def test_without_one_of_its_tables_a_full_build_makes_all(dbt, raw, going_on):
    """Else the table would hold the new weeks alone."""
    warehouse, folder = going_on
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("drop table cache_trips")
    shutil.copy2(receipts(raw)[-2], folder)
    result = dbt("run", *SPLIT, raw=folder, into=warehouse)
    assert result.returncode == 0 and "Weekly build" not in result.output
    assert warehouse.value("select min(week) from cache_trips") == 1


DAYS = ("--vars", "{train_last_week: 1, validation_last_week: 2, test_last_week: 9}")


def test_a_file_that_was_read_but_not_listed_is_not_added(dbt, going_on):
    """As one that comes while a build begins: its lines would be there twice."""
    warehouse, folder = going_on
    name = receipts(folder)[-1].name
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("delete from build_files where source_file = ?", [name])
    result = dbt("run", *SPLIT, raw=folder, into=warehouse)
    assert f"Full build, since {name} was read already" in result.output
    assert warehouse.value("select count(*) from rejected_rows") == 0


def write_day(folder: Path, day: int, slips: range, *more: str, **fields: str) -> None:
    """Baskets of a day in March 2024, and more lines; fields stand in all of the day's."""
    fields = {"Day": f"{day}.03.2024"} | fields
    lines = [
        line(**({"Slip": f"{slip}", "Card": f"K{slip % 7}", "Article": f"A{slip % 5}"} | fields))
        for slip in slips
    ]
    text = "\n".join([HEADER, *lines, *more]) + "\n"
    (folder / f"day{day:02}.csv").write_text(text, encoding="cp1252")


@pytest.fixture(scope="module")
def order_lines(dbt, tmp_path_factory):
    """The warehouse of files of order lines, their folder and layout, in which formats of stores
    stand where texts did.
    """
    folder = tmp_path_factory.mktemp("order_lines")
    raw, layout = folder / "raw", folder / "shop.yml"
    raw.mkdir()
    text = LAYOUT.replace('"*.csv*"', '"day*"') + "store_format: Text\n"
    layout.write_text(text, encoding="utf-8")
    (raw / "articles.csv").write_text(ARTICLES.replace(",", ";"), encoding="cp1252")
    for day, slips in ((4, range(20)), (11, range(20, 40)), (18, range(40, 60))):
        write_day(raw, day, slips, Text="")
    built = dbt("run", *DAYS, raw=raw, layout=layout)
    assert built.returncode == 0, built.output
    return built, raw, layout


@pytest.mark.parametrize(
    "additions",
    [
        [lambda raw: write_day(raw, 25, range(60, 80), Text="")],
        # Its baskets are in the data, though of no customer.
        [
            lambda raw: write_day(raw, 25, range(60, 80), Text="", Card=""),
            lambda raw: write_day(raw, 29, range(80, 90), Text="", Day="1.4.2024"),
        ],
        # Weeks count from the first date of all lines.
        [
            lambda raw: write_day(
                raw, 25, range(60, 80), line(Article="F1", Day="29.2.2024"), Text=""
            ),
            lambda raw: write_day(
                raw, 26, range(80, 90), line(Gross="?", Day="22.2.2024"), Text=""
            ),
        ],
        # A store's format is what its first trip says.
        [lambda raw: write_day(raw, 25, range(60, 80), Text="large")],
    ],
    ids=["customers", "anonymous", "no sale", "store"],
)
def test_files_of_order_lines_are_added_too(dbt, order_lines, tmp_path, additions):
    built, raw, layout = order_lines
    warehouse, folder = type(built)(tmp_path / "warehouse.duckdb"), tmp_path / "raw"
    shutil.copy(built.path, warehouse.path)
    shutil.copytree(raw, folder)
    for add in additions:
        add(folder)
        weekly = dbt("run", *DAYS, raw=folder, layout=layout, into=warehouse)
        assert weekly.returncode == 0, weekly.output
        assert "Weekly build: adds day2" in weekly.output
        full = dbt("run", *DAYS, raw=folder, layout=layout)
        assert differences(weekly.path, full.path) == []
    assert full.value("select count(*) from trips") >= 80


def test_a_file_that_is_there_already_is_not_added(dbt, order_lines, tmp_path):
    """The last day packed, beside itself: its lines would count twice."""
    built, raw, layout = order_lines
    warehouse, folder = type(built)(tmp_path / "warehouse.duckdb"), tmp_path / "raw"
    shutil.copy(built.path, warehouse.path)
    shutil.copytree(raw, folder)
    (folder / "day18.csv.gz").write_bytes(gzip.compress((folder / "day18.csv").read_bytes()))
    weekly = dbt("run", *DAYS, raw=folder, layout=layout, into=warehouse)
    assert "Weekly build: adds day18.csv.gz" in weekly.output
    assert weekly.returncode == 1
    assert "day18.csv.gz: the same data as day18.csv" in " ".join(weekly.output.split())


def test_weeks_may_come_after_a_build_without_any(dbt, order_lines, tmp_path):
    """No date of it could be read."""
    *_, raw, layout = order_lines
    folder = tmp_path / "raw"
    folder.mkdir()
    shutil.copy2(raw / "articles.csv", folder)
    write_day(folder, 4, range(9), Day="?")
    begun = dbt("run", *DAYS, raw=folder, layout=layout)
    assert begun.returncode == 0, begun.output
    for day, date in ((11, "?"), (18, "18.3.2024")):
        write_day(folder, day, range(9), Day=date)
        weekly = dbt("run", *DAYS, raw=folder, layout=layout, into=begun)
        assert weekly.returncode == 0 and "Weekly build: adds" in weekly.output, weekly.output
    full = dbt("run", *DAYS, raw=folder, layout=layout)
    assert differences(weekly.path, full.path) == []
