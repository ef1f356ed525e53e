"""What Spark's log of events says of a build is added up by table."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.spark_events import environment, figures

CREATED = """== Physical Plan ==
Execute CreateDataSourceTableAsSelectCommand (1)

(2) CreateDataSourceTableAsSelectCommand
Arguments: `spark_catalog`.`retailsim`.`int_items`, ErrorIfExists, [trip_key, week]

(3) Scan parquet spark_catalog.retailsim.int_lines
Location: InMemoryFileIndex [file:/w/retailsim.db/int_lines]
"""
INSERTED = """== Physical Plan ==
Execute InsertIntoHadoopFsRelationCommand (4)
+- Scan parquet spark_catalog.retailsim.int_items (1)

(4) Execute InsertIntoHadoopFsRelationCommand
Input: []
Arguments: file:/w/retailsim.db/prices_kept, false, Parquet, [week]
"""


def task(stage: int, seconds: float, shuffled: float = 0, written: float = 0) -> dict:
    metrics = {
        "Input Metrics": {"Bytes Read": 2e9},
        "Output Metrics": {"Bytes Written": written},
        "Shuffle Write Metrics": {"Shuffle Bytes Written": shuffled},
        "Disk Bytes Spilled": 5e8,
    }
    info = {"Launch Time": 1000, "Finish Time": 1000 + 1000 * seconds}
    return {
        "Event": "SparkListenerTaskEnd",
        "Stage ID": stage,
        "Task Info": info,
        "Task Metrics": metrics,
    }


def started(execution: int, root: int, plan: str) -> dict:
    return {
        "Event": "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart",
        "executionId": execution,
        "rootExecutionId": root,
        "physicalPlanDescription": plan,
    }


def job(execution: int | None, *stages: int) -> dict:
    properties = {} if execution is None else {"spark.sql.execution.id": str(execution)}
    return {
        "Event": "SparkListenerJobStart",
        "Stage IDs": list(stages),
        "Properties": properties,
    }


def test_tasks_count_for_the_table_that_their_rows_go_to(tmp_path: Path):
    events = [
        started(1, 1, CREATED),
        started(2, 1, "== Physical Plan ==\nLocalTableScan (1)"),  # a part of the first
        job(1, 10),
        job(2, 11),
        task(10, 2, shuffled=1e9),
        task(10, 6, shuffled=2e9),
        task(11, 1, written=4e9),
        started(3, 3, INSERTED),
        job(3, 12, 10),  # a stage that was there already counts once
        task(12, 3, shuffled=5e8),
        job(None, 13),
        task(13, 1),
        {"Event": "SparkListenerTaskEnd", "Stage ID": 10},  # one that was stopped
    ]
    (tmp_path / "local-1").write_text("\n".join(map(json.dumps, events)) + "\n")
    found = figures(tmp_path)
    assert list(found) == ["all", "int_items", "prices", "other statements"]
    assert found["all"] == {
        "tasks": 5, "task_s": 13, "longest_task_s": 6, "read_gb": 10, "written_gb": 4,
        "shuffled_gb": 3.5, "spilled_gb": 2.5,
    }  # fmt: skip
    assert found["int_items"]["task_s"] == 9 and found["int_items"]["shuffled_gb"] == 3
    assert found["prices"]["task_s"] == 3
    assert found["other statements"]["tasks"] == 1


def test_a_build_is_told_to_log(tmp_path: Path):
    options = environment(tmp_path / "a log")["PYSPARK_SUBMIT_ARGS"]
    assert (tmp_path / "a log").is_dir()
    assert f"spark.eventLog.dir={(tmp_path / 'a log').as_uri()} " in options
    assert options.endswith(" pyspark-shell")
