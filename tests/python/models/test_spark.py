"""Spark makes the same warehouse as DuckDB: every mart and cache model, and the cache to the byte.

The chain is small, and some of its lines are spoiled: rejected ones are to be the same too, with
file and line.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from journey_files import write_journey
from kinds_of_lines import write_lines, write_stamps, write_utc
from pyarrow import csv, parquet

ROOT = Path(__file__).resolve().parents[3]

FAST = {
    "RETAILSIM_SPARK_COMPILE": "false",
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
    packed, windows, spoiled, typed, *_, last = sorted(raw.glob("transactions_*.csv"))
    last.rename(last.with_name(f"{last.stem} 100%20+#.csv"))
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
    change(22, quantity="+3.00")
    change(24, quantity="2147483648", cust_code="-Inf")
    lines += [lines[30], '"","",,']
    spoiled.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def raw(shared) -> Path:
    from dbt_project.sample import ChainConfig, generate_chain

    def make(folder: Path) -> None:
        generate_chain(ChainConfig(customers=40, products=100, stores=3, weeks=12), folder)
        spoil(folder)

    return shared("spoiled_chain", make)


@dataclass(frozen=True)
class Build:
    """Receipts that both engines build."""

    raw: Path
    layout: str
    arguments: tuple[str, ...] = ()
    """Of `dbt run`."""
    command: str = "run"
    error: str = ""
    """A part of what a run that must fail says."""
    killed: bool = False
    """Whether it ends before it enters what became of its models."""
    environment: dict[str, str] = field(default_factory=dict)
    """Its own variables."""


LINES = ("--select", "stg_transactions")
EMPTY = ("+customer_missions",)
"""A table of weeks that has no rows where no customer is known."""
FATES = ("+rejected_rows", "+set_aside_rows")
ON_SPARK_ALONE = ("begun", "overflow", "failed", "stopped")
OVERFLOW = "select sum(units)::integer as units from (values (2147483647), (1)) as lines (units)"
PROMOTIONS = ("+promotions", "+coupon_offers", "+coupons_redeemed")


@pytest.fixture(scope="module")
def builds(raw, tmp_path_factory) -> dict[str, Build]:
    folder = tmp_path_factory.mktemp("layouts")
    found = {}
    # On Spark each begins with the tables of those before: no table must be left over.
    for name, make, marts in [
        ("utc", write_utc, EMPTY), ("stamps", write_stamps, ()), ("lines", write_lines, FATES)
    ]:  # fmt: skip
        (folder / name).mkdir()
        layout = folder / f"{name}.yml"
        make(folder / name, layout)
        for path in (folder / name).glob("sales_*"):
            path.rename(path.with_name(path.name.replace("_", " 100%20+#")))
        found[name] = Build(folder / name, str(layout), (*LINES, *marts))
    (folder / "journey").mkdir()
    write_journey(folder / "journey")
    journey = (*LINES, *FATES, *PROMOTIONS)
    found["journey"] = Build(folder / "journey", "complete_journey", journey)
    # On Spark the chain is all but its last weeks, and then a weekly build.
    split = ("--vars", "{train_last_week: 7, validation_last_week: 9, test_last_week: 20}")
    begun = folder / "begun"
    begun.mkdir()
    for path in sorted(raw.glob("t*_*"))[:-2] + [raw / "time.csv"]:
        shutil.copy2(path, begun)
    found["begun"] = Build(begun, "lgsr", split)
    found["chain"] = Build(raw, "lgsr", split)
    found["overflow"] = Build(raw, "lgsr", ("--inline", OVERFLOW), "show", error="overflow")
    found["failed"] = Build(
        raw, "lgsr", ("--select", "stg_predictions"), error="no such file",
        environment={"RETAILSIM_PREDICTIONS": str(folder / "none.parquet")},
    )  # fmt: skip
    found["stopped"] = Build(raw, "lgsr", command="retry", killed=True)
    return found


@pytest.fixture(scope="module")
def on_duckdb(built, builds) -> dict[str, Path]:
    """The warehouse of each build."""
    return {
        name: built(f"{name}_on_duckdb", build.raw, *build.arguments, layout=build.layout).path
        for name, build in builds.items()
        if name not in ON_SPARK_ALONE
    }


@pytest.fixture(scope="module")
def on_spark(java, shared, builds, dbt_environment) -> dict[str, Path]:
    """The warehouse of each build; one process makes all, and stops where one does not end as it
    should: with an error, say, for a number that does not fit its type (`overflow`).
    """

    def make(folder: Path) -> None:
        # As a build leaves it that is killed while it writes a table.
        unfinished = folder / "warehouse" / "retailsim.db" / "stg_weeks" / "_temporary"
        unfinished.mkdir(parents=True)
        (unfinished / "part.parquet").write_text("cut short")
        lines = [
            {
                "arguments": [build.command, "--target", "spark", *build.arguments],
                "environment": dbt_environment(folder, build.raw)
                | {"RETAILSIM_LAYOUT": build.layout}
                | build.environment,
                "kept": str(folder / name),
                "error": build.error,
                "killed": build.killed,
            }
            for name, build in builds.items()
        ]
        process = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("spark_builds.py"))],
            env=os.environ | FAST | {"RETAILSIM_SPARK_WAREHOUSE": str(folder / "warehouse")},
            input="\n".join(map(json.dumps, lines)), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        assert process.returncode == 0, process.stdout
        assert "Weekly build: adds" in process.stdout

    folder = shared("on_spark", make)
    return {name: folder / name for name in builds}


def test_rows_are_the_same(on_duckdb, on_spark):
    from dbt_project.compare import compare

    found = compare(on_duckdb["chain"], on_spark["chain"])
    assert [(table.table, table.problem) for table in found if table.problem] == []
    rows = {table.table: table.rows for table in found}
    assert len(rows) > 30 and rows["rejected_rows"] > 8 and rows["cache_items"] > 100


@pytest.mark.parametrize("name", ["lines", "utc", "stamps", "journey"])
def test_other_layouts_are_read_the_same(builds, on_duckdb, on_spark, name):
    """Every line as it was staged, and what became of it."""
    from dbt_project.compare import compare
    from dbt_project.warehouse import connect

    staged = []
    for path in (on_duckdb[name], on_spark[name]):
        with connect(path) as warehouse:
            lines = "select * from stg_transactions order by source_file, source_line"
            staged.append(warehouse.execute(lines).fetchall())
    assert staged[0] == staged[1] and len(staged[0]) > 3
    # On Spark the tables of the builds before are there too.
    wanted = {mart[1:] for mart in builds[name].arguments if mart[0] == "+"}
    compared = compare(on_duckdb[name], on_spark[name])
    found = {table.table: table for table in compared if table.table in wanted}
    assert [(table.table, table.problem) for table in found.values() if table.problem] == []
    assert found.keys() == wanted


def test_the_cache_is_the_same_to_the_byte(on_duckdb, on_spark, tmp_path):
    from dbt_project import prepare_tensor_cache

    prepare_tensor_cache(on_duckdb["chain"], tmp_path / "duckdb")
    prepare_tensor_cache(on_spark["chain"], tmp_path / "spark")
    files = sorted(path.name for path in (tmp_path / "duckdb").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "spark").iterdir())
    for name in files:
        one, other = ((tmp_path / engine / name).read_bytes() for engine in ("duckdb", "spark"))
        assert one == other, name


def test_what_a_retry_has_begun_is_not_taken_for_built(on_spark):
    from dbt_project.warehouse import WarehouseError, open_warehouse

    for name, reason in [("failed", "failed: .* no such file"), ("stopped", "finished stg_predic")]:
        with pytest.raises(WarehouseError, match=reason), open_warehouse(on_spark[name]):
            pass


def test_what_differs_is_found(on_duckdb, tmp_path):
    """The comparison itself, on a warehouse that differs in one number."""
    import duckdb

    from dbt_project.compare import compare

    changed = tmp_path / "warehouse.duckdb"
    shutil.copy(on_duckdb["chain"], changed)
    with duckdb.connect(str(changed)) as connection:
        connection.execute("update stores set age_weeks = age_weeks + 1e-6 where store_key = 2")
        connection.execute("delete from weeks where week = 3")
        connection.execute("alter table customers drop column lifestage")
    problems = {table.table: table.problem for table in compare(on_duckdb["chain"], changed)}
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
        ("spark.sql.codegen.wholeStage", "no", "RETAILSIM_SPARK_COMPILE=no: say true or false"),
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
        "spark.sql.codegen.wholeStage": "true",
        "spark.sql.warehouse.dir": "warehouse",
    }
    with pytest.raises(DbtRuntimeError, match=said):
        spark.start(settings | {setting: value})
