"""Reading the marts: one open, read-only, closed again before anything is written."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
from tqdm import tqdm

from . import queries, static_queries

Columns = dict[str, np.ndarray]
"""Columns of a query by name, all of one length."""


class ExportError(Exception):
    """A warehouse that cannot be exported; the message names it and says what to do."""


@dataclass(frozen=True)
class Marts:
    """Everything the cache is made of, in memory. What the columns are: queries.py."""

    database: Path
    weeks: Columns
    totals: Columns
    lines: Columns
    products: Columns
    categories: Columns
    nodes: Columns
    edges: Columns
    stores: Columns
    customers: Columns
    customer_weeks: Columns
    trips: Columns
    items: Columns

    @property
    def departments(self) -> list[str]:
        """Department codes of the training weeks, in the order of customer_history's shares."""
        return departments(self.products)


def departments(products: Columns) -> list[str]:
    """Department codes of the products that the training weeks know, sorted."""
    return sorted(set(products[queries.CODES[-1]][~products["is_novel"]]))


def read_marts(database: Path, progress: bool = False) -> Marts:
    """Read all marts.

    Raises ExportError where the file is missing, cannot be opened or lacks something.
    """
    with _connect(database) as connection:
        _check_columns(connection, database)
        steps = {
            "weeks": queries.WEEKS,
            "totals": queries.TOTALS,
            "lines": queries.LINES,
            "products": static_queries.PRODUCTS,
            "categories": static_queries.CATEGORIES,
            "nodes": static_queries.NODES,
            "edges": static_queries.EDGES,
            "stores": static_queries.STORES,
            "customers": queries.CUSTOMERS,
            "customer_weeks": None,  # depends on the products
            "trips": queries.TRIPS,
            "items": queries.ITEMS,
        }
        tables: dict[str, Columns] = {}
        bar = tqdm(
            steps,
            desc="reading",
            unit="table",
            file=sys.stderr,
            disable=not progress,
            delay=3,
            leave=False,
        )
        for name in bar:
            query = steps[name] or queries.customer_weeks(len(departments(tables["products"])))
            tables[name] = _fetch(connection, query, f"{database}: {name}")
    return Marts(database, **tables)


@contextlib.contextmanager
def _connect(database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    if not database.is_file():
        raise ExportError(f"{database} does not exist: run dbt build in a checkout first")
    try:
        connection = duckdb.connect(str(database), read_only=True)
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        if "Could not set lock" in reason:
            reason = "another process is writing it, wait until it has finished"
        raise ExportError(
            f"{database} cannot be opened: {reason}. It should be the file that dbt build wrote"
        ) from None
    try:
        yield connection
    except duckdb.Error as error:
        raise ExportError(
            f"{database} cannot be read: {str(error).splitlines()[0]}. Did dbt build finish?"
        ) from None
    finally:
        connection.close()


def _check_columns(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    rows = connection.execute(
        "select table_name, column_name from duckdb_columns() where schema_name = current_schema()"
    ).fetchall()
    present: dict[str, set[str]] = {}
    for table, column in rows:
        present.setdefault(table, set()).add(column)
    if not present.keys() & queries.MARTS.keys():
        raise ExportError(f"{database} holds no marts: run dbt build first")
    missing = [
        f"{mart}.{column}" if mart in present else mart
        for mart, columns in queries.MARTS.items()
        for column in columns
        if column not in present.get(mart, ())
    ]
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        raise ExportError(f"{database} lacks {names}: run dbt build with this version's models")


def _fetch(connection: duckdb.DuckDBPyConnection, query: str, name: str) -> Columns:
    columns = connection.execute(query).fetchnumpy()
    for column, values in columns.items():
        nulls = np.ma.getmaskarray(values)
        if nulls.any():
            raise ExportError(
                f"{name} has {nulls.sum():,} rows without {column}, the first is row "
                f"{nulls.argmax()}: run dbt build, which tests for that"
            )
    return {column: np.ma.getdata(values) for column, values in columns.items()}
