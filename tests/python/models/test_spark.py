"""Spark makes the same warehouse as DuckDB: every mart and cache model, and the cache to the byte.

The chain is small, and some of its lines are spoiled: rejected ones are to be the same too, with
file and line.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import csv, parquet

FAST = {
    # For tables of a few rows compiling takes longer than running.
    "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "PYSPARK_SUBMIT_ARGS": "--conf spark.sql.codegen.wholeStage=false"
    " --conf spark.sql.codegen.factoryMode=NO_CODEGEN pyspark-shell",
    "RETAILSIM_SPARK_MASTER": "local[1]",
    "RETAILSIM_SPARK_PARTITIONS": "1",
}


@pytest.fixture(scope="module")
def java():
    """Skips where Spark cannot run, and says why."""
    pytest.importorskip("dbt.adapters.spark", reason="needs the extra spark")
    pytest.importorskip("pyspark", reason="needs the extra spark")
    from dbt_project.spark import java_problem

    if problem := java_problem():
        pytest.skip(problem)


def spoil(raw: Path) -> None:
    """Write the files of a chain in other ways, and spoil lines of one."""
    packed, windows, spoiled, typed, *_ = sorted(raw.glob("transactions_*.csv"))
    packed.with_suffix(".csv.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    windows.write_bytes(windows.read_bytes().replace(b"\n", b"\r\n"))
    parquet.write_table(csv.read_csv(typed), typed.with_suffix(".parquet"))
    typed.unlink()
    lines = spoiled.read_text(encoding="utf-8").splitlines()
    fields = lines[0].split(",")

    def change(line: int, **values: str) -> None:
        parts = lines[line].split(",")
        for name, value in values.items():
            parts[[field.lower() for field in fields].index(name)] = value
        lines[line] = ",".join(parts)

    lines[4] = ""
    lines[6] = "cut short,1"
    change(8, prod_code='PRD"1')
    lines[10] = ",".join(f' "{field}" ' for field in lines[10].split(","))
    change(12, cust_code="NULL", spend="\u00a01.50\t")
    change(14, spend="1.505")
    change(16, quantity="0")
    change(18, basket_id="9.94E+14")
    change(20, store_code="N/A")
    lines += [lines[30], '"","",,']
    spoiled.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def raw(shared) -> Path:
    from dbt_project.sample import ChainConfig, generate_chain

    def make(folder: Path) -> None:
        generate_chain(ChainConfig(customers=40, products=100, stores=3, weeks=12), folder)
        spoil(folder)

    return shared("spoiled_chain", make)


@pytest.fixture(scope="module")
def on_duckdb(built, raw) -> Path:
    return built("spoiled_warehouse", raw).path


@pytest.fixture(scope="module")
def on_spark(java, shared, raw, dbt_environment) -> Path:
    def make(folder: Path) -> None:
        process = subprocess.run(
            [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "run", "--target", "spark"],
            env=os.environ | dbt_environment(folder, raw) | FAST
            | {"RETAILSIM_SPARK_WAREHOUSE": str(folder / "warehouse")},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert process.returncode == 0, process.stdout

    return shared("spark_warehouse", make) / "warehouse"


def test_rows_are_the_same(on_duckdb, on_spark):
    from dbt_project.compare import compare

    found = compare(on_duckdb, on_spark)
    assert [(table.table, table.problem) for table in found if table.problem] == []
    rows = {table.table: table.rows for table in found}
    assert len(rows) > 30 and rows["rejected_rows"] > 8 and rows["cache_items"] > 100


def test_the_cache_is_the_same_to_the_byte(on_duckdb, on_spark, tmp_path):
    from dbt_project import prepare_tensor_cache

    prepare_tensor_cache(on_duckdb, tmp_path / "duckdb")
    prepare_tensor_cache(on_spark, tmp_path / "spark")
    files = sorted(path.name for path in (tmp_path / "duckdb").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "spark").iterdir())
    for name in files:
        one, other = ((tmp_path / engine / name).read_bytes() for engine in ("duckdb", "spark"))
        assert one == other, name


def test_what_differs_is_found(on_duckdb, tmp_path):
    """The comparison itself, on a warehouse that differs in one number."""
    import shutil

    import duckdb

    from dbt_project.compare import compare

    changed = tmp_path / "warehouse.duckdb"
    shutil.copy(on_duckdb, changed)
    with duckdb.connect(str(changed)) as connection:
        connection.execute("update stores set age_weeks = age_weeks + 1e-6 where store_key = 2")
        connection.execute("delete from weeks where week = 3")
        connection.execute("alter table customers drop column lifestage")
    problems = {table.table: table.problem for table in compare(on_duckdb, changed)}
    assert [name for name, problem in problems.items() if problem] == [
        "customers", "stores", "weeks"
    ]  # fmt: skip
    assert problems["stores"].startswith("age_weeks is ") and "store_key=2" in problems["stores"]
    assert problems["weeks"] == "12 and 11 rows"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "has no bin/java. Spark needs Java 17 or newer: install it"),
        ("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n", "is Java 11. Spark needs Java 17"),
        ("#!/bin/sh\necho 'openjdk version \"1.8.0_202\"' >&2\n", "is Java 8. Spark needs"),
        ("#!/bin/sh\n", "does not say its version. Spark needs Java 17"),
        ("#!/bin/sh\necho 'openjdk version \"21\" 2023-09-19' >&2\n", None),
    ],
)
def test_a_missing_or_old_java_is_said_in_one_line(tmp_path, monkeypatch, script, said):
    from dbt_project.spark import java_problem

    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if script is not None:
        java = tmp_path / "bin" / "java"
        java.parent.mkdir()
        java.write_text(script)
        java.chmod(0o755)
    problem = java_problem()
    assert (problem is None) == (said is None)
    assert said is None or said in problem and "\n" not in problem


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("spark.driver.memory", "2", "RETAILSIM_SPARK_MEMORY=2: give"),
        ("spark.sql.shuffle.partitions", "none", "RETAILSIM_SPARK_PARTITIONS=none: give"),
        ("spark.sql.warehouse.dir", "a'b", "RETAILSIM_SPARK_WAREHOUSE=a'b: name a folder"),
        ("spark.sql.warehouse.dir", __file__, "this is no folder"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch, setting, value, said):
    from dbt_common.exceptions import DbtRuntimeError

    from dbt_project import spark

    monkeypatch.setattr(spark, "java_problem", lambda: None)
    settings = {
        "spark.driver.memory": "2g",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.warehouse.dir": "warehouse",
    }
    with pytest.raises(DbtRuntimeError, match=said):
        spark.start(settings | {setting: value})
