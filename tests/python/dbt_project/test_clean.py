"""`make clean` removes what the commands made, and keeps what lies beside it."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from toy import toy_cache

from dbt_project.clean import RECORDS, main

MADE = [
    "target/manifest.json", "target/compiled/retailsim/models/a.sql",
    "target/partial_parse.msgpack", "logs/dbt.log", "logs/dbt.log.1",
    "build/lib/trainer/fit.py", "build/bdist.linux-x86_64/x/y",
    f"cache.baselines/{'0a' * 16}.npz", ".duckdb_tmp/duckdb_temp_storage_S32K-0.tmp",
    ".duckdb_tmp/order_lines_x1_/0.parquet", "spark_warehouse/retailsim.db/trips/_SUCCESS",
    "spark_warehouse/retailsim.db/trips/.part-0.crc", "spark_warehouse/metastore/log/log1.dat",
    "spark_warehouse/derby.log", "spark_warehouse/order_lines/0.parquet",
]  # fmt: skip
MINE = [
    "target/notes.txt", "target/compiled/other/a.sql", "logs/log.txt", "build/lib/mine/x.py",
    "cache.baselines/best.npz", ".duckdb_tmp/x", ".cache.1.new/x", "raw_data/time.csv",
    ".duckdb_tmp/order_lines_x1_/notes.txt", "runs/small/run.json", "spark_warehouse/notes.txt",
]  # fmt: skip


def write(names):
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def database(*tables):
    with duckdb.connect("warehouse.duckdb") as connection:
        for table in tables:
            connection.execute(f"create table {table} as select 'model.retailsim.trips' as node")


def left(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mine", [[], MINE])
def test_only_what_was_made_is_removed(tmp_path, monkeypatch, capsys, mine):
    monkeypatch.chdir(tmp_path)
    toy_cache(tmp_path / "cache")
    write([*MADE, *mine])
    database(*RECORDS, "trips")
    assert main([]) == 0
    assert left(tmp_path) == set(mine)
    said = capsys.readouterr().err.splitlines()
    kept = [
        "target", "logs", "build", "cache.baselines", "spark_warehouse", ".duckdb_tmp"
    ] if mine else []  # fmt: skip
    assert [line.split(" is kept: ")[0] for line in said] == kept
    assert main([]) == 0 and left(tmp_path) == set(mine)


def test_a_cache_and_a_database_with_something_else_in_it_keep_that(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    toy_cache(tmp_path / "cache")
    write(["cache/notes.npy"])
    database("build_record", "trips", "customers_of_mine")
    assert main([]) == 0
    assert left(tmp_path) == {"cache/notes.npy", "warehouse.duckdb"}
    (tmp_path / "warehouse.duckdb").unlink()
    database("trips")
    (tmp_path / "cache" / "manifest.json").write_text('{"columns": ["notes"]}')
    assert main([]) == 0
    assert left(tmp_path) == {"cache/manifest.json", "cache/notes.npy", "warehouse.duckdb"}
    (tmp_path / "warehouse.duckdb").write_text("mine")
    capsys.readouterr()
    assert main([]) == 0
    assert left(tmp_path) == {"cache/manifest.json", "cache/notes.npy", "warehouse.duckdb"}
    assert "warehouse.duckdb is kept" in capsys.readouterr().err


def test_all_tables_beside_the_models_are_known():
    macros = Path(__file__).parents[3] / "macros" / "build"
    said = "".join(path.read_text() for path in macros.glob("*.sql"))
    assert set(re.findall(r"build_table\('(build_\w+)'\)", said)) == RECORDS
