"""Reading the cache models: one open, read-only, closed again before anything is written."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
from tqdm import tqdm

from dbt_project.warehouse import WarehouseError, open_warehouse
from trainer.cache.schema import CONTEXT, LEVELS, MAX_TEXT

from .tables import TABLES, model, query

Columns = dict[str, np.ndarray]
"""Columns of a query by name, all of one length."""


class ExportError(WarehouseError):
    """A warehouse that cannot be exported; the message names it and says what to do."""


@dataclass(frozen=True)
class Tables:
    """Everything the cache is made of, in memory. What the columns are: models/cache."""

    database: Path
    weeks: Columns
    settings: Columns
    totals: Columns
    labels: Columns
    products: Columns
    categories: Columns
    graph: Columns
    stores: Columns
    customers: Columns
    customer_weeks: Columns
    trips: Columns
    items: Columns
    anonymous_prices: Columns
    promotions: Columns

    @property
    def departments(self) -> list[str]:
        """Department codes of the training weeks, in the order of the customers' shares."""
        return sorted(set(self.products[LEVELS[-1]][~self.products["is_novel"]]))

    @property
    def kinds(self) -> dict[str, list[str]]:
        """Labels of the columns of the trip context, code 1 first."""
        kind, label = self.labels["kind"], self.labels["label"]
        return {name: label[kind == name].tolist() for name in CONTEXT}


def read_tables(database: Path, progress: bool = False) -> Tables:
    """Read all cache models.

    Raises WarehouseError where it is not what a finished build left, or lacks something.
    """
    with open_warehouse(database) as connection:
        _check_columns(connection, database)
        _check_trips(connection, database)
        tables: dict[str, Columns] = {}
        bar = tqdm(
            TABLES,
            desc="reading",
            unit="table",
            file=sys.stderr,
            disable=not progress,
            delay=3,
            leave=False,
        )
        for name in bar:
            tables[name] = _fetch(connection, query(name), f"{database}: {model(name)}")
    return Tables(database, **tables)


def _check_columns(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    rows = connection.execute(
        "select table_name, column_name from duckdb_columns() where schema_name = current_schema()"
    ).fetchall()
    present: dict[str, set[str]] = {}
    for table, column in rows:
        present.setdefault(table, set()).add(column)
    needed = {model(name): table.columns + table.order for name, table in TABLES.items()}
    if not present.keys() & needed.keys():
        raise ExportError(f"{database} holds no cache models: run dbt build first")
    missing = [
        f"{name}.{column}" if name in present else name
        for name, columns in needed.items()
        for column in columns
        if column not in present.get(name, ())
    ]
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        raise ExportError(f"{database} lacks {names}: run dbt build with this version's models")


def _check_trips(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    """Raise ExportError where there is nothing to learn from; dbt's tests say the same."""
    (trips, identified, first), (training_weeks,) = (
        connection.execute(sql).fetchone()
        for sql in (
            "select sum(trips), sum(trips) filter (is_identified), min(week) from cache_totals",
            "select count(*) from cache_weeks where split = 'train'",
        )
    )
    if not trips:
        raise ExportError(
            f"{database} holds no trip: its tables files_read and rejected_rows say what became of "
            "the rows. Put the files right and run dbt build"
        )
    if not identified:
        raise ExportError(
            f"{database}: none of {trips:,} trips is of a known customer (all customer codes "
            "are empty), and a model needs the trips of customers"
        )
    if first > training_weeks:
        raise ExportError(
            f"{database}: no trip in the training weeks 1-{training_weeks}, the first is in week "
            f"{first}: move the vars train_last_week, validation_last_week and test_last_week of "
            "dbt_project.yml, then dbt build and export again"
        )


def _fetch(connection: duckdb.DuckDBPyConnection, sql: str, name: str) -> Columns:
    columns = connection.execute(sql).fetchnumpy()
    for column, values in columns.items():
        nulls = np.ma.getmaskarray(values)
        if nulls.any():
            raise ExportError(
                f"{name} has {nulls.sum():,} rows without {column}, the first is row "
                f"{nulls.argmax()}: run dbt build, which tests for that"
            )
        _check_text(values, name, column)
    return {column: np.ma.getdata(values) for column, values in columns.items()}


def _check_text(values: np.ndarray, name: str, column: str) -> None:
    """Raise ExportError for a text that the cache would not give back as it is."""
    for row, value in enumerate(values.tolist() if values.dtype == object else ()):
        if isinstance(value, str) and (len(value) > MAX_TEXT or "\0" in value):
            found = "a NUL character" if "\0" in value else f"{len(value):,} characters"
            raise ExportError(
                f"{name} row {row}: {column} has {found}, the cache holds texts of at most "
                f"{MAX_TEXT:,} without NUL: correct what it comes from, or leave it out"
            )
