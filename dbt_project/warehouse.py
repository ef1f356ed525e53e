"""Opening a warehouse for reading: only one whose build finished and passed its tests."""

from __future__ import annotations

import contextlib
import glob
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from trainer.commands.errors import ExpectedError

SPARK_SCHEMA = "retailsim.db"
"""The folder of the tables in Spark's warehouse, named by the target's schema (profiles.yml)."""


class WarehouseError(ExpectedError):
    """A warehouse that cannot be used; the message names it and says what to do."""


@dataclass(frozen=True)
class _Node:
    """A row of build_record (macros/build)."""

    name: str
    kind: str
    status: str
    message: str
    parents: list[str]
    """Keys of the models that it was built from, or that it tests."""
    entry: int


def default_database() -> Path:
    """Where dbt writes, unless told otherwise."""
    return Path(os.environ.get("RETAILSIM_DB") or "warehouse.duckdb")


@contextlib.contextmanager
def open_warehouse(database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database, read-only, while it is needed: the DuckDB file, or the folder of Spark's
    warehouse, whose tables are files of Parquet and are read without Spark.

    Raises WarehouseError where it is missing, cannot be opened or read, or is not what a finished
    build left.
    """
    connection = connect(database)
    try:
        connection.execute("set enable_progress_bar = false")  # it would be among what is printed
        check_build(connection, database)
        yield connection
    except duckdb.Error as error:
        raise WarehouseError(
            f"{database} cannot be read: {str(error).splitlines()[0]}. Did dbt build finish?"
        ) from None
    except RuntimeError as error:
        if str(error) != "Query interrupted":  # so DuckDB says that Ctrl-C was pressed
            raise
        raise KeyboardInterrupt from None
    finally:
        connection.close()


def connect(database: Path) -> duckdb.DuckDBPyConnection:
    """Open a warehouse, read-only, whether or not its build finished.

    Raises WarehouseError.
    """
    if not database.exists():
        raise WarehouseError(f"{database} does not exist: run dbt build in a checkout first")
    if database.is_dir():
        return _views_of_spark(database)
    try:
        return duckdb.connect(str(database), read_only=True)
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        if "Could not set lock" in reason:
            reason = "another process is writing it, wait until it has finished"
        raise WarehouseError(
            f"{database} cannot be opened: {reason}. It should be the file that dbt build wrote"
        ) from None


def _views_of_spark(warehouse: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for table in sorted((warehouse / SPARK_SCHEMA).glob("*")):
        # A table of weeks has a folder per week, such as week=12; its files lack that column.
        column = next(table.glob("*=*"), table).name.rpartition("=")[0]
        files = "*=*/*.parquet" if column else "*.parquet"
        if any(table.glob(files)):
            files = f"{glob.escape(str(table))}/{files}".replace("'", "''")
            name = table.name.replace('"', '""')
            kind = "integer" if column == "shop_week" else "smallint"
            partitions = f", hive_types={{{column}: {kind}}}" if column else ""
            try:
                connection.execute(
                    f'create view "{name}" as from read_parquet('
                    f"'{files}', hive_partitioning={bool(column)}{partitions})"
                )
            except duckdb.Error as error:
                reason = str(error).splitlines()[0]
                raise WarehouseError(f"{table} cannot be read: {reason}") from None
    return connection


def check_build(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    """Raise WarehouseError unless all tables belong together and passed their tests.

    That is decided as make does it: a model is good if it was built, and after all that it was
    built from. A test counts from when it ran until a model that it tests is built anew.
    """
    for problem in _problems(_read_record(connection, database)):
        raise WarehouseError(f"{database}: {problem}")


def _read_record(connection: duckdb.DuckDBPyConnection, database: Path) -> dict[str, _Node]:
    tables = {
        name
        for (name,) in connection.execute(
            "select table_name from information_schema.tables"
        ).fetchall()
    }
    if not tables:
        raise WarehouseError(f"{database} is empty: run dbt build first")
    if "build_record" not in tables:
        raise WarehouseError(
            f"{database} has no record of a build: an earlier version of this project made it, or "
            "another program. Move it away, or name another file in RETAILSIM_DB, and run dbt build"
        )
    rows = connection.execute(
        "select node, kind, status, message, depends_on, entry from build_record "
        "order by entry, node"
    ).fetchall()
    return {
        node: _Node(node.split(".")[2], kind, status, message, json.loads(depends_on), entry)
        for node, kind, status, message, depends_on, entry in rows
    }


def _problems(nodes: dict[str, _Node]) -> Iterator[str]:
    models = {key: node for key, node in nodes.items() if node.kind == "model"}
    unfinished = [model.name for model in models.values() if model.status == "building"]
    if unfinished:
        yield (
            f"the last dbt build was stopped before it had finished {_some(unfinished)}: run dbt "
            "build again"
        )
    for node in nodes.values():
        tested = [models[key] for key in node.parents if key in models]
        counts = node.kind == "model" or all(node.entry >= model.entry for model in tested)
        if counts and node.status in ("error", "fail"):
            why = f": {node.message.rstrip('.')}" if node.message else ""
            kind = node.kind.replace("_", " ")
            yield f"{kind} {node.name} failed{why}. Put that right and run dbt build again"
    skipped = [model.name for model in models.values() if model.status == "skipped"]
    if skipped:
        yield f"dbt build left out {_some(skipped)}, since a test failed: run it again"
    for model in models.values():
        for parent in model.parents:
            if parent not in models or models[parent].entry > model.entry:
                name = parent.split(".")[2]
                yield (
                    f"it mixes old and new tables, {model.name} was built before {name}, which it "
                    "reads: run dbt build"
                )


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
