"""The command: what it prints, and one line with exit code 2 for everything that goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import tiny

from dbt_project.export.__main__ import main
from dbt_project.export.tables import TABLES, model
from trainer.cache.reader import TensorCache


@pytest.fixture
def database(write_tiny, tmp_path) -> Path:
    return write_tiny(tmp_path / "warehouse.duckdb", tiny.tables())


@pytest.fixture
def fails(tmp_path, capsys):
    """`fails(database, ...)` runs the command and returns its one line on standard error."""

    def run(database: Path, *options: str, out: Path | None = None) -> str:
        target = out or tmp_path / "cache"
        assert main(["--database", str(database), "--out", str(target), *options]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        lines = output.err.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), output.err
        if out is None:
            assert not target.exists()
        return lines[0]

    return run


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "dbt_project.export", *arguments],
        cwd=tiny.ROOT, env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_real_command(database, tmp_path, tiny_cache):
    out = tmp_path / "somewhere" / "cache"
    process = run("--out", str(out), RETAILSIM_DB=str(database))
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("3 customers, 7 trips, 10 items written to ")
    assert process.stdout.rstrip().endswith(f"digest {tiny_cache.digest}")
    assert TensorCache(out).digest == tiny_cache.digest


def test_the_real_command_fails_in_one_line(tmp_path):
    missing = tmp_path / "nowhere.duckdb"
    process = run("--out", str(tmp_path / "cache"), RETAILSIM_DB=str(missing))
    assert process.returncode == 2
    assert process.stderr == f"error: {missing} does not exist: run dbt build in a checkout first\n"
    assert not missing.exists()


def test_help_explains_every_option():
    process = run("--help")
    assert process.returncode == 0
    for option in ("--database", "--out", "--country", "--like"):
        assert option in process.stdout


def test_the_import_needs_no_duckdb():
    code = "import sys, dbt_project; print('duckdb' in sys.modules); dbt_project.nothing"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.stdout == "False\n"
    assert "has no attribute 'nothing'" in process.stderr


def test_not_built(tmp_path, fails):
    path = tmp_path / "empty.duckdb"
    duckdb.connect(str(path)).close()
    assert fails(path) == f"error: {path} is empty: run dbt build first"


def test_built_by_an_earlier_version(database, fails):
    with duckdb.connect(str(database)) as connection:
        connection.execute("drop table build_record")
    line = fails(database)
    assert f"{database} has no record of a build" in line and "run dbt build" in line


def test_not_duckdb(tmp_path, fails):
    path = tmp_path / "text.duckdb"
    path.write_text("prices\n" * 5000)
    assert f"{path} cannot be opened" in fails(path)


def test_being_written(database, fails):
    """By another process: DuckDB locks the file."""
    code = f"import duckdb; c = duckdb.connect({str(database)!r}); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        writer.stdout.readline()
        line = fails(database)
        writer.communicate(b"\n")
    assert f"{database} cannot be opened: another process is writing it" in line


@pytest.mark.parametrize("name", TABLES)
def test_a_missing_model_is_named(database, fails, name):
    with duckdb.connect(str(database)) as connection:
        kind = "table" if model(name) in tiny.MARTS else "view"
        connection.execute(f"drop {kind} {model(name)}")
    assert fails(database).startswith(f"error: {database} lacks {model(name)}: run dbt build")


@pytest.mark.parametrize("mart", [name for name in tiny.MARTS if name not in map(model, TABLES)])
def test_a_missing_mart_is_named(database, fails, mart):
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"drop table {mart}")
    line = fails(database)
    assert line.startswith(f"error: {database} cannot be read: ")
    assert f" {mart} " in line and line.endswith("Did dbt build finish?")


def test_a_missing_column_is_named(database, fails):
    with duckdb.connect(str(database)) as connection:
        for name, column in (("cache_trips", "is_replay"), ("cache_products", "category")):
            connection.execute(f"create table old as select * exclude ({column}) from {name}")
            connection.execute(f"drop view {name}")
            connection.execute(f"alter table old rename to {name}")
    line = fails(database)
    assert line.startswith(f"error: {database} lacks cache_products.category, cache_trips.is_repl")


def test_a_missing_column_of_a_mart_is_named(database, fails):
    with duckdb.connect(str(database)) as connection:
        connection.execute("alter table trips drop replay_of")
    line = fails(database)
    assert line.startswith(f"error: {database} cannot be read: ")
    assert "replay_of" in line and line.endswith("Did dbt build finish?")


def test_a_null_where_none_may_be(database, fails):
    with duckdb.connect(str(database)) as connection:
        connection.execute("update stores set trips_per_week = null where store_key = 2")
    assert (
        f"{database}: cache_stores has 1 rows without trips_per_week, the first is row 1"
        in fails(database)
    )


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("delete from trips", "holds no trip: its tables files_read and rejected_rows say"),
        (
            "delete from trips where customer_key is not null",
            "none of 1 trips is of a known customer (all customer codes are empty)",
        ),
        (
            "delete from trips where week < 3",
            "no trip in the training weeks 1-2, the first is in week 3: move the vars train_last_w",
        ),
        ("update products set is_novel = true", "3 rows without department_shares"),
        (
            "update price_fallbacks_product set category_price_pence = null",
            "cache_products has 5 rows without category_pence",
        ),
        (
            "update product_graph_nodes set code = 'C5' where code = 'C4'",
            "cache_categories has 1 rows without is_novel",
        ),
        ("delete from weeks where week = 4", "trips has weeks that weeks lacks"),
        ("update weeks set trips = 3 where week = 2", "weeks and trips differ in trips"),
        ("update weeks set items = 3 where week = 2", "weeks and trips differ in items"),
        ("update weeks set spend_pence = 3 where week = 2", "weeks and trips differ in spend"),
        ("delete from trip_items where trip_key = 1", "trips and trip_items differ in items"),
        ("update trip_items set spend_pence = 1 where trip_key = 1", "differ in spend_pence"),
        ("delete from prices where product_key = 2", "prices and trip_items differ in the number"),
        ("update prices set week = 1 where week = 2 and product_key = 3", "lacks the price of a"),
        ("delete from customers where customer_key = 2", "trips and customers differ"),
        ("delete from customer_missions where customer_key = 3", "trips and customer_history"),
        ("delete from customer_history where as_of_week = 5", "trips and customer_history differ"),
        (
            "update customer_history set as_of_week = 1 where as_of_week = 3",
            "lack their customer and week",
        ),
        ("update weeks set date_to = '2006-12-18' where week = 2", "1 trips lack their date"),
        ("delete from product_graph_nodes where node_key = 5", "differ in the products"),
        ("delete from product_graph_nodes where node_key = 9", "differ in the categories"),
        (
            "update customer_history set category_shares = [1, 0] where category_shares = [1]",
            "customer_history and products differ in the departments",
        ),
        (
            "update trip_items set trip_key = 1 where trip_key = 4;"
            "update trip_items set trip_key = 4 where trip_key = 1 and week = 1",
            "trips and trip_items differ in",
        ),
    ],
)
def test_a_build_that_stopped_half_way(database, fails, statement, message):
    with duckdb.connect(str(database)) as connection:
        connection.execute(statement)
    line = fails(database)
    assert str(database) in line and message in line
    # The database is closed again: it can be written.
    duckdb.connect(str(database)).close()


@pytest.mark.parametrize("country", ["XX", "Britain", "GB-XX", "GB-", ""])
def test_an_unknown_country(database, fails, country):
    line = fails(database, "--country", country)
    assert f"--country {country}: give an ISO code" in line
    assert "list_supported_countries" in line


def test_like_nothing(database, fails, tmp_path):
    line = fails(database, "--like", str(tmp_path))
    assert f"--like {tmp_path} is neither a cache nor a checkpoint" in line


def test_like_a_damaged_cache(database, fails, tmp_path, tiny_cache):
    damaged = tmp_path / "reference"
    damaged.mkdir()
    for path in tiny_cache.folder.iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    (damaged / "products.code.npy").write_bytes(b"")
    assert f"{damaged / 'products.code.npy'} is damaged" in fails(database, "--like", str(damaged))


def test_a_foreign_folder_is_left_alone(database, fails, tmp_path):
    for name, files in {
        "photos": ["cat.png"],
        "app": ["manifest.json", "index.html"],
        "arrays": ["mine.npy"],
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        for file in files:
            (folder / file).write_text("mine")
        assert f"{folder} exists and is not a tensor cache" in fails(database, out=folder)
        assert sorted(path.name for path in folder.iterdir()) == sorted(files)
        assert all((folder / file).read_text() == "mine" for file in files)


def test_a_file_is_left_alone(database, fails, tmp_path):
    path = tmp_path / "cache.txt"
    path.write_text("mine")
    assert f"{path} is not a folder" in fails(database, out=path)
    assert path.read_text() == "mine"
