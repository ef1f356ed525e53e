"""Reading the cache models of a warehouse, which is opened read-only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
from tqdm import tqdm

from dbt_project.warehouse import WarehouseError, open_warehouse
from trainer.cache.schema import CONTEXT, LEVELS, MAX_TEXT

from .tables import TABLES, TIMELINES, model, query

Columns = dict[str, np.ndarray]
"""Columns of a query by name, all of one length."""
ITEMS_AT_ONCE = 1_000_000
"""Customers are read together until they have so many items, or more where there would be more than
`MOST_PARTS` parts: every part looks through all rows of the tables."""
MOST_PARTS = 64
ITEMS_OF_CUSTOMERS = """
    select customer_key, coalesce(sum(item_count), 0) as items from cache_trips
    where customer_key is not null group by customer_key order by customer_key
"""
ITEM_PRICES = """
    select distinct pence, previous_pence, base_pence from cache_items
    where pence is not null and previous_pence is not null and base_pence is not null
    order by pence, previous_pence, base_pence
"""
TRIP_STORES = "select distinct store_key from cache_trips where store_key is not null"
LONGEST_BASKET_ID = "select coalesce(max(strlen(basket_id::varchar)), 0) from cache_trips"
LAST_WEEK = "select coalesce(max(week), 0) from cache_customer_weeks"


class ExportError(WarehouseError):
    """A warehouse that cannot be exported; the message names it and says what to do."""


@dataclass(frozen=True)
class Timelines:
    """All rows of some customers, whose keys follow each other."""

    customers: Columns
    customer_weeks: Columns
    trips: Columns
    items: Columns


@dataclass(frozen=True)
class Tables:
    """Everything the cache is made of, in memory but for the timelines. What the columns are:
    models/cache.
    """

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
    anonymous_prices: Columns
    promotions: Columns
    item_prices: Columns
    """The prices that items have: each combination once."""
    trip_stores: np.ndarray
    """Keys of the stores that trips go to, each once."""
    longest_basket_id: int
    """Bytes."""
    last_week: int
    """The last that customers are described as of."""
    timelines: Iterator[Timelines]
    """Those of all customers, part by part, in the order of their keys."""

    @property
    def departments(self) -> list[str]:
        """Department codes of the training weeks, in the order of the customers' shares."""
        return sorted(set(self.products[LEVELS[-1]][~self.products["is_novel"]]))

    @property
    def kinds(self) -> dict[str, list[str]]:
        """Labels of the columns of the trip context, code 1 first."""
        kind, label = self.labels["kind"], self.labels["label"]
        return {name: label[kind == name].tolist() for name in CONTEXT}


@contextmanager
def open_tables(database: Path, progress: bool = False) -> Iterator[Tables]:
    """Read the cache models; the warehouse is open until all timelines are read.

    Raises WarehouseError where it is not what a finished build left, or lacks something.
    """
    with open_warehouse(database) as connection:
        _check_columns(connection, database)
        _check_trips(connection, database)
        parts = _parts(connection)
        whole = [name for name in TABLES if name not in TIMELINES]
        with tqdm(
            total=len(whole) + len(parts),
            desc="reading",
            unit="part",
            file=sys.stderr,
            disable=not progress,
            delay=3,
            leave=False,
        ) as bar:
            tables: dict[str, Columns] = {}
            for name in whole:
                tables[name] = _fetch(connection, query(name), f"{database}: {model(name)}")
                bar.update()
            yield Tables(
                database,
                **tables,
                item_prices=_fetch(connection, ITEM_PRICES, f"{database}: {model('items')}"),
                trip_stores=connection.execute(TRIP_STORES).fetchnumpy()["store_key"],
                longest_basket_id=connection.execute(LONGEST_BASKET_ID).fetchone()[0],
                last_week=connection.execute(LAST_WEEK).fetchone()[0],
                timelines=_timelines(connection, database, tables["customers"], parts, bar),
            )


def _parts(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, int]]:
    """First and last key of the customers that are read together: of all keys that there can be."""
    found = connection.execute(ITEMS_OF_CUSTOMERS).fetchnumpy()
    items = found["items"].astype(np.int64)
    part = (items.cumsum() - items) // max(ITEMS_AT_ONCE, -(-items.sum() // MOST_PARTS))
    starts = found["customer_key"][1:][part[1:] != part[:-1]].tolist()
    limits = np.iinfo(np.int32)
    firsts, lasts = [limits.min, *starts], [*(start - 1 for start in starts), limits.max]
    return list(zip(firsts, lasts, strict=True))


def _timelines(
    connection: duckdb.DuckDBPyConnection,
    database: Path,
    customers: Columns,
    parts: list[tuple[int, int]],
    bar: tqdm,
) -> Iterator[Timelines]:
    rows, keys = dict.fromkeys(TIMELINES, 0), customers["customer_key"]
    for first, last in parts:
        own = (keys >= first) & (keys <= last)
        tables = {"customers": {name: values[own] for name, values in customers.items()}}
        for name in TIMELINES:
            # Rows without a key come last, and are an error.
            lost = " or customer_key is null" if (first, last) == parts[-1] else ""
            sql = query(name, f"customer_key between {first} and {last}{lost}")
            tables[name] = _fetch(connection, sql, f"{database}: {model(name)}", rows[name])
            rows[name] += len(next(iter(tables[name].values())))
        bar.update()
        yield Timelines(**tables)


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


def _fetch(
    connection: duckdb.DuckDBPyConnection, sql: str, name: str, first_row: int = 0
) -> Columns:
    """Columns of a query that holds no null. name, first_row: of what it reads, for messages."""
    columns = connection.execute(sql).fetchnumpy()
    for column, values in columns.items():
        nulls = np.ma.getmaskarray(values)
        if nulls.any():
            raise ExportError(
                f"{name} has {nulls.sum():,} rows without {column}, the first is row "
                f"{first_row + nulls.argmax()}: run dbt build, which tests for that"
            )
        _check_text(values, name, column, first_row)
    return {column: np.ma.getdata(values) for column, values in columns.items()}


def _check_text(values: np.ndarray, name: str, column: str, first_row: int) -> None:
    """Raise ExportError for a text that the cache would not give back as it is."""
    for row, value in enumerate(values.tolist() if values.dtype == object else (), first_row):
        if isinstance(value, str) and (len(value) > MAX_TEXT or "\0" in value):
            found = "a NUL character" if "\0" in value else f"{len(value):,} characters"
            raise ExportError(
                f"{name} row {row}: {column} has {found}, the cache holds texts of at most "
                f"{MAX_TEXT:,} without NUL: correct what it comes from, or leave it out"
            )
