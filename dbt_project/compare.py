"""`python -m dbt_project.compare FIRST SECOND`: whether two warehouses hold the same rows.

Meant for one chain built by two engines, or by two versions of the models. Keys, whole numbers,
texts and dates are to be equal exactly, numbers in floating point to 1e-9 of their size.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from dbt_project.warehouse import WarehouseError, connect
from trainer.commands.command import run_command
from trainer.commands.errors import ExpectedError
from trainer.commands.options import CommandParser

TOLERANCE = 1e-9
CHUNK = 100_000
"""Rows of a table that are held at a time."""
INNER = ("stg_", "int_", "build_")
"""How the names of tables begin that are no marts or cache models."""


@dataclass(frozen=True)
class Comparison:
    """What was found of one table."""

    table: str
    rows: int
    """Of the first warehouse."""
    problem: str | None
    """The first difference; None where the rows are the same."""
    largest: float
    """The largest difference of two numbers in floating point, as a share of their size."""


def compare(first: Path, second: Path) -> list[Comparison]:
    """Compare all marts and cache models of two warehouses, DuckDB files or Spark's folders.

    Raises WarehouseError where one of them cannot be opened.
    """
    with connect(first) as one, connect(second) as other:
        columns, others = _columns(one), _columns(other)
        for path, tables in ((first, columns), (second, others)):
            if "build_record" not in tables or len(tables) < 2:
                raise WarehouseError(f"{path} is no warehouse that dbt built")
        return [
            _compare(one, other, table, columns.get(table, {}), others.get(table, {}))
            for table in sorted(columns.keys() | others.keys())
            if not table.startswith(INNER)
        ]


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Table -> column -> type."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(
        "select table_name, column_name, data_type from information_schema.columns "
        "order by table_name, ordinal_position"
    ).fetchall():
        found.setdefault(table, {})[column] = kind
    return found


def _compare(
    one: duckdb.DuckDBPyConnection,
    other: duckdb.DuckDBPyConnection,
    table: str,
    columns: dict[str, str],
    others: dict[str, str],
) -> Comparison:
    if not columns or not others:
        found = f"only in the {'first' if columns else 'second'} warehouse"
        return Comparison(table, 0, found, 0)
    if columns.keys() != others.keys():
        found = f"columns {', '.join(columns)} and {', '.join(others)}"
        return Comparison(table, 0, found, 0)
    # What is exact comes first, so that crumbs do not change the order.
    exact = [name for name, kind in columns.items() if not kind.startswith(("DOUBLE", "FLOAT"))]
    order = ", ".join([*exact, *(name for name in columns if name not in exact)])
    query = f"select {', '.join(columns)} from {table} order by {order}"
    rows, counterparts = (
        connection.execute(f"select count(*) from {table}").fetchall()[0][0]
        for connection in (one, other)
    )
    if rows != counterparts:
        return Comparison(table, rows, f"{rows:,} and {counterparts:,} rows", 0)
    one.execute(query)
    other.execute(query)
    largest, problem = 0.0, None
    while chunk := one.fetchmany(CHUNK):
        for row, counterpart in zip(chunk, other.fetchmany(CHUNK), strict=True):
            if row == counterpart:
                continue
            for name, difference in _differences(columns, row, counterpart):
                largest = max(largest, difference)
                if difference > TOLERANCE and problem is None:
                    values = zip(columns, row, counterpart, strict=True)
                    a, b = next((a, b) for column, a, b in values if column == name)
                    key = dict(zip(columns, row, strict=True))
                    shown = ", ".join(f"{column}={key[column]}" for column in exact[:3])
                    problem = f"{name} is {a} and {b} where {shown}"
    return Comparison(table, rows, problem, largest)


def _differences(
    columns: dict[str, str], row: tuple[Any, ...], counterpart: tuple[Any, ...]
) -> Iterator[tuple[str, float]]:
    """Columns in which two rows differ, and by how much; infinity where there is no measure."""
    for name, a, b in zip(columns, row, counterpart, strict=True):
        if a != b:
            yield name, _difference(a, b)


def _difference(a: Any, b: Any) -> float:
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return max((_difference(x, y) for x, y in zip(a, b, strict=True) if x != y), default=0.0)
    if isinstance(a, float) and isinstance(b, float) and not (math.isnan(a) or math.isnan(b)):
        return abs(a - b) / max(1.0, abs(a), abs(b))
    return 0.0 if a == b or a != a and b != b else math.inf


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what differs."""
    parser = CommandParser(
        prog="python -m dbt_project.compare",
        description="Compare the marts and cache models of two warehouses, row by row.",
    )
    for name in ("first", "second"):
        parser.add_argument(
            name, type=Path, help="a DuckDB file, or the folder of Spark's warehouse"
        )
    return run_command(parser, _run, arguments)


def _run(options: argparse.Namespace) -> None:
    found = compare(options.first, options.second)
    for table in found:
        print(f"{table.table:26} {table.rows:>9,} rows  {table.problem or 'the same'}")
    different = [table.table for table in found if table.problem]
    if different:
        raise ExpectedError(f"{len(different)} tables differ: {', '.join(different)}")


if __name__ == "__main__":
    sys.exit(main())
