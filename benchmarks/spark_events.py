"""What a build on Spark did, table by table, from the log of events that Spark writes."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_STORED = re.compile(
    r"(?:InsertIntoHadoopFsRelation|CreateDataSourceTableAsSelect)Command\n(?:(?:In|Out)put[^\n]*\n)?"
    r"Arguments: (?:`\w+`\.`\w+`\.`|[^,\n]*/)(\w+?)(?:_kept)?[`,]"
)
"""Where a plan says into which table its rows go."""


def environment(folder: Path) -> dict[str, str]:
    """Variables of the environment with which a build logs its events into the folder, which this
    makes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": folder.resolve().as_uri(),
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
    }
    options = " ".join(f"--conf {name}={value}" for name, value in settings.items())
    return {"PYSPARK_SUBMIT_ARGS": f"{options} pyspark-shell"}


def figures(folder: Path) -> dict[str, Any]:
    """Figures of all tasks that a folder's events tell of, by table, and of `all` together; tables
    with most shuffled bytes first.

    Figures: `tasks`, their number; `task_s`, their seconds, added up; `longest_task_s`; `read_gb`
    and `written_gb` (Parquet and raw files), `shuffled_gb` (brought from one task to another) and
    `spilled_gb` (written to disk for want of memory).
    """
    tables: dict[int, str] = {}
    stages: dict[int, int] = {}
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for event in _events(folder):
        kind = event["Event"].rpartition(".")[2]
        if kind == "SparkListenerSQLExecutionStart":
            stored = _STORED.search(event["physicalPlanDescription"])
            if stored:
                tables[event["executionId"]] = stored[1]
            elif event.get("rootExecutionId") in tables:
                tables[event["executionId"]] = tables[event["rootExecutionId"]]
        elif kind == "SparkListenerJobStart":
            execution = int(event["Properties"].get("spark.sql.execution.id", -1))
            for stage in event["Stage IDs"]:
                stages.setdefault(stage, execution)
        elif kind == "SparkListenerTaskEnd" and "Task Metrics" in event:
            task, info = event["Task Metrics"], event["Task Info"]
            seconds = (info["Finish Time"] - info["Launch Time"]) / 1e3
            table = tables.get(stages.get(event["Stage ID"], -1), "other statements")
            for of in (sums["all"], sums[table]):
                of["tasks"] += 1
                of["task_s"] += seconds
                of["longest_task_s"] = max(of["longest_task_s"], seconds)
                of["read_gb"] += task["Input Metrics"]["Bytes Read"] / 1e9
                of["written_gb"] += task["Output Metrics"]["Bytes Written"] / 1e9
                of["shuffled_gb"] += task["Shuffle Write Metrics"]["Shuffle Bytes Written"] / 1e9
                of["spilled_gb"] += task["Disk Bytes Spilled"] / 1e9
    ordered = sorted(sums.items(), key=lambda item: -item[1]["shuffled_gb"])
    return {
        table: {name: round(value, 3) for name, value in found.items()} for table, found in ordered
    }


def _events(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("local-*")) + sorted(folder.glob("app*")):
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)
