"""Timelines: customers, their trips, items and as-of rows, as columns of the cache."""

from __future__ import annotations

import math

import numpy as np

from .matching import Match
from .statics import StaticTables, encode, text
from .tables import CUSTOMER_FIGURES
from .warehouse import Columns, ExportError, Tables


def timeline_columns(
    tables: Tables, statics: StaticTables, found: Match, days: np.ndarray
) -> Columns:
    """Columns of customers, trips, items, shelf_prices, customer_weeks, anonymous_prices and
    promotions.

    days: dates of the table `days`, in order. Raises ExportError where a trip has no as-of row or
    no day.
    """
    items, has_novel = _items(tables, statics, found)
    customers, trips = tables.customers, tables.trips
    first_trips = np.searchsorted(trips["customer_key"], customers["customer_key"])
    return {
        "customers.code": text(customers["customer_code"]),
        **{
            f"customers.{name}": encode(customers[name], statics.labels[name])
            for name in ("price_sensitivity", "lifestage")
        },
        "customers.trip_offsets": np.append(first_trips, len(trips["trip_key"])),
        "trips.basket_id": text(trips["basket_id"]),
        **{
            f"trips.{name}": trips[name]
            for name in (
                "week", "hour", "days_since_previous", "spend_pence", "is_cold_start", "is_replay",
            )
        },
        **{
            f"trips.{name}": np.append(0, encode(labels, statics.labels[name]))[trips[name]]
            for name, labels in tables.kinds.items()
        },
        "trips.customer_week": _as_of_rows(tables),
        "trips.day": _row_of(tables, days, trips["day"], "date in weeks"),
        "trips.store": found.store[trips["store_key"] - 1],
        "trips.has_novel_product": has_novel,
        "trips.item_offsets": np.append(0, np.cumsum(trips["item_count"], dtype=np.int64)),
        **items,
        **_customer_weeks(tables, statics, found),
        **_of_shelves("anonymous_prices", tables.anonymous_prices, ("week", "pence"), found),
        **_of_shelves("promotions", tables.promotions, ("week", "display", "mailer"), found),
    }  # fmt: skip


def _items(tables: Tables, statics: StaticTables, found: Match) -> tuple[Columns, np.ndarray]:
    """Columns of items and shelf_prices; and per trip, whether a product of it is novel."""
    items, counts = tables.items, tables.trips["item_count"]
    token = found.token[items["product_key"] - 1]
    trip = np.repeat(np.arange(len(counts)), counts)
    # Items come in the order of products, which fallback tokens may break; ties keep their order.
    order = np.argsort(trip * (token.max() + 1) + token, kind="stable")
    token = token[order]

    products = len(statics.columns["products.code"])
    novel = np.ones(int(max(token.max(), products)) + 1, dtype=bool)
    novel[1 : products + 1] = statics.columns["products.is_novel"]
    starts = np.cumsum(counts, dtype=np.int64) - counts
    price_row, prices = _distinct(
        {name: items[name][order] for name in ("pence", "previous_pence", "base_pence")}
    )
    columns = {
        "items.token": token,
        "items.quantity": items["quantity"][order],
        "items.price": price_row,
        **{f"shelf_prices.{name}": values for name, values in prices.items()},
    }
    return columns, np.logical_or.reduceat(novel[token], starts)


def _distinct(columns: Columns) -> tuple[np.ndarray, Columns]:
    """Row of each combination of values among the distinct ones, and those in order.

    Raises ExportError where there could be more combinations than an int64 numbers.
    """
    key, levels = np.zeros(1, dtype=np.int64), {}
    for name, values in columns.items():
        levels[name], codes = _ranked(values)
        key = key * len(levels[name]) + codes
    if math.prod(map(len, levels.values())) > np.iinfo(key.dtype).max:
        counts = ", ".join(f"{len(values):,} of {name}" for name, values in levels.items())
        raise ExportError(
            f"cache_items has too many different prices to number their combinations: {counts} "
            "multiply to more than 2^63"
        )
    distinct, row = _ranked(key)
    values = {}
    for name in reversed(columns):
        distinct, codes = np.divmod(distinct, len(levels[name]))
        values[name] = levels[name][codes]
    return row, values


def _ranked(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `np.unique` with its inverse gives, but faster where few are distinct."""
    distinct = np.unique(values)
    return distinct, np.searchsorted(distinct, values)


def _as_of_rows(tables: Tables) -> np.ndarray:
    """Row of customer_weeks of each trip."""
    weeks = int(max(tables.customer_weeks["week"].max(), tables.trips["week"].max())) + 1
    keys, wanted = (
        table["customer_key"].astype(np.int64) * weeks + table["week"]
        for table in (tables.customer_weeks, tables.trips)
    )
    return _row_of(tables, keys, wanted, "customer and week in customer_history")


def _row_of(tables: Tables, keys: np.ndarray, wanted: np.ndarray, what: str) -> np.ndarray:
    """Rows of `wanted` in the sorted `keys`."""
    rows = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    missing = keys[rows] != wanted
    if missing.any():
        raise ExportError(
            f"{tables.database}: {missing.sum():,} trips lack their {what}. Did dbt build finish?"
        )
    return rows


def _customer_weeks(tables: Tables, statics: StaticTables, found: Match) -> Columns:
    rows = tables.customer_weeks
    by_department = dict(
        zip(tables.departments, np.array(rows["department_shares"].tolist()).T, strict=True)
    )
    nothing = np.zeros(len(rows["week"]))
    shares = [by_department.get(code, nothing) for code in statics.labels["department"]]
    store_rows = np.append(-1, found.store)  # key 0: no trips yet
    return {
        "customer_weeks.customer": rows["customer_key"] - 1,
        **{f"customer_weeks.{name}": rows[name] for name in ("week", *CUSTOMER_FIGURES)},
        "customer_weeks.department_shares": np.stack(shares, axis=1),
        **{
            f"customer_weeks.{kind}_shares": _kind_shares(tables, statics, kind)
            for kind in ("type", "focus")
        },
        "customer_weeks.primary_store": store_rows[rows["primary_store_key"]] + 1,
    }


def _kind_shares(tables: Tables, statics: StaticTables, kind: str) -> np.ndarray:
    """Shares of trips by label of a vocabulary, unclassified last, (rows, labels + 1).

    Trips with labels that it does not have count as unclassified.
    """
    shares = np.array(tables.customer_weeks[f"{kind}_shares"].tolist())
    codes = encode(tables.kinds[kind], statics.labels[kind])
    found = np.zeros((len(shares), len(statics.labels[kind]) + 1))
    for column, code in enumerate([*codes, 0]):
        found[:, code - 1] += shares[:, column]
    return found


def _of_shelves(table: str, rows: Columns, names: tuple[str, ...], found: Match) -> Columns:
    """Columns of a table of products at stores, without those that the cache lacks."""
    product, store = rows["product_key"] - 1, found.store[rows["store_key"] - 1]
    kept = ~found.is_unknown_product[product] & (store >= 0)
    return {
        f"{table}.product": found.token[product[kept]] - 1,
        f"{table}.store": store[kept],
        **{f"{table}.{name}": rows[name][kept] for name in names},
    }
