"""Sums that the tables, and the cache made of them, must agree on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from trainer.cache.schema import LEVELS

from .warehouse import Columns, ExportError, Tables, Timelines

MEASURES = ("trips", "items", "spend_pence")
Totals = dict[str, dict[str, dict[str, int]]]
"""Split, or `all` -> `identified` or `anonymous` -> trips, items, spend_pence."""


def totals_by_split(tables: Tables, split: dict[str, list[int]]) -> Totals:
    """What the marts say, by split and over all weeks."""
    weeks, identified = tables.totals["week"], tables.totals["is_identified"]
    everything = (weeks.min(), weeks.max())
    totals = {}
    for name, (first, last) in {"all": everything, **split}.items():
        inside = (weeks >= first) & (weeks <= last)
        totals[name] = {
            "identified": _sum(tables.totals, inside & identified),
            "anonymous": _sum(tables.totals, inside & ~identified),
        }
    return totals


def check_tables(tables: Tables) -> None:
    """Raise ExportError where marts were not built from the same rows.

    A build that stopped half way leaves some marts of the new rows and some of the old.
    """
    for message in _disagreements(tables):
        raise ExportError(f"{tables.database}: {message}. Did dbt build finish?")


def check_timelines(tables: Tables, part: Timelines) -> None:
    """Raise ExportError where the marts of these customers were not built from the same rows."""
    for message in _disagreements_of_timelines(tables, part):
        raise ExportError(f"{tables.database}: {message}. Did dbt build finish?")


def check_columns(columns: Columns, totals: Totals) -> None:
    """Raise ExportError where the cache's columns do not hold what the marts say."""
    found = {
        "trips": len(columns["trips.week"]),
        "items": len(columns["items.token"]),
        "spend_pence": int(columns["trips.spend_pence"].sum()),
    }
    if found != totals["all"]["identified"]:
        raise ExportError(f"exported {found}, the marts say {totals['all']['identified']}")


def _disagreements(tables: Tables) -> Iterator[str]:
    totals, weeks = tables.totals, tables.weeks
    if not np.isin(totals["week"], weeks["week"]).all():
        yield "trips has weeks that weeks lacks"
    for name in MEASURES:
        by_week = np.zeros(weeks["week"].max() + 1, dtype=np.int64)
        np.add.at(by_week, totals["week"], totals[name])
        if not np.array_equal(by_week[weeks["week"]], weeks[name]):
            yield f"weeks and trips differ in {name}"
    for name in ("items", "spend_pence"):
        if not np.array_equal(totals[name], totals[f"{name}_found"]):
            yield f"trips and trip_items differ in {name}"

    if weeks["items_priced"].sum() != weeks["items_listed"].sum():
        yield "prices and trip_items differ in the number of items"
    if not np.array_equal(tables.products["node_key"], tables.products["product_key"]):
        yield "product_graph_nodes and products differ in the products"
    categories = sum(len(set(tables.products[level])) for level in LEVELS)
    first = len(tables.products["product_key"]) + 1
    if not np.array_equal(tables.categories["node_key"], np.arange(first, first + categories)):
        yield "product_graph_nodes and products differ in the categories"


def _disagreements_of_timelines(tables: Tables, part: Timelines) -> Iterator[str]:
    items_by_trip = np.repeat(part.trips["trip_key"], part.trips["item_count"])
    if not np.array_equal(items_by_trip, part.items["trip_key"]):
        yield "trips and trip_items differ in the items of a trip"
    if (part.items["pence"] < 0).any():
        yield "prices lacks the price of a sold item"

    keys, counts = np.unique(part.trips["customer_key"], return_counts=True)
    if not np.array_equal(keys, part.customers["customer_key"]):
        yield "trips and customers differ in the customers"
    of_customer = part.customer_weeks["customer_key"]
    last = np.append(of_customer[1:] != of_customer[:-1], True)[: len(of_customer)]
    if not (
        np.array_equal(keys, of_customer[last])
        and np.array_equal(counts, part.customer_weeks["trips"][last])
    ):
        yield "trips and customer_history differ in the trips of a customer"
    if {len(shares) for shares in part.customer_weeks["department_shares"]} != {
        len(tables.departments)
    }:
        yield "customer_history and products differ in the departments"


def _sum(totals: Columns, rows: np.ndarray) -> dict[str, int]:
    return {name: int(totals[name][rows].sum()) for name in MEASURES}
