"""Timelines: customers, their trips, items and as-of rows, as columns of the cache."""

from __future__ import annotations

import math

import numpy as np

from .matching import Match
from .statics import StaticTables, encode, text
from .tables import CUSTOMER_FIGURES, TIMELINES
from .warehouse import Columns, ExportError, Tables, Timelines


def customer_columns(tables: Tables, statics: StaticTables) -> Columns:
    """Columns of customers, but for where their trips are."""
    customers = tables.customers
    return {
        "customers.code": text(customers["customer_code"]),
        **{
            f"customers.{name}": encode(customers[name], statics.labels[name])
            for name in ("price_sensitivity", "lifestage")
        },
    }


class TimelineColumns:
    """Makes the columns of trips, items and customer_weeks, and customers' offsets, part by part.

    days: dates of the table `days`, in order.
    """

    def __init__(
        self, tables: Tables, statics: StaticTables, found: Match, days: np.ndarray
    ) -> None:
        self._tables, self._statics, self._found, self._days = tables, statics, found, days
        self._prices = PriceRows(tables.item_prices)
        self._rows = dict.fromkeys(TIMELINES, 0)
        """Rows of the parts before."""
        novel = statics.columns["products.is_novel"]
        last_token = max(int(found.token.max(initial=0)), len(novel))
        self._is_novel = np.ones(last_token + 1, dtype=bool)
        self._is_novel[1 : len(novel) + 1] = novel

    def of(self, part: Timelines) -> Columns:
        """Columns of the next customers. Raises ExportError where a trip has no as-of row or no
        day.
        """
        labels, trips = self._statics.labels, part.trips
        items, has_novel = self._items(part)
        last_trips = np.searchsorted(
            trips["customer_key"], part.customers["customer_key"], side="right"
        )
        columns = {
            "customers.trip_offsets": self._offsets("trips", last_trips),
            "trips.basket_id": text(trips["basket_id"]).astype(
                f"S{max(self._tables.longest_basket_id, 1)}"
            ),
            **{
                f"trips.{name}": trips[name]
                for name in (
                    "week", "hour", "days_since_previous", "spend_pence", "is_cold_start",
                    "is_replay",
                )
            },
            **{
                f"trips.{name}": np.append(0, encode(kinds, labels[name]))[trips[name]]
                for name, kinds in self._tables.kinds.items()
            },
            "trips.customer_week": self._rows["customer_weeks"] + self._as_of_rows(part),
            "trips.day": self._row_of(self._days, trips["day"], "date in weeks"),
            "trips.store": self._found.store[trips["store_key"] - 1],
            "trips.has_novel_product": has_novel,
            "trips.item_offsets": self._offsets(
                "items", np.cumsum(trips["item_count"], dtype=np.int64)
            ),
            **items,
            **self._customer_weeks(part.customer_weeks),
        }  # fmt: skip
        self._rows["trips"] += len(trips["trip_key"])
        self._rows["items"] += len(part.items["trip_key"])
        self._rows["customer_weeks"] += len(part.customer_weeks["week"])
        return columns

    def _offsets(self, table: str, ends: np.ndarray) -> np.ndarray:
        """Offsets into a table where the part's rows end; the first part's begin with 0."""
        before = self._rows[table]
        return before + ends if before else np.append(0, ends)

    def _items(self, part: Timelines) -> tuple[Columns, np.ndarray]:
        """Columns of items; and per trip, whether a product of it is novel."""
        items, counts = part.items, part.trips["item_count"]
        token = self._found.token[items["product_key"] - 1]
        trip = np.repeat(np.arange(len(counts)), counts)
        # Items come in the order of products, which fallback tokens may break; ties keep theirs.
        order = np.argsort(trip * (token.max() + 1) + token, kind="stable")
        token = token[order]
        starts = np.cumsum(counts, dtype=np.int64) - counts
        columns = {
            "items.token": token,
            "items.quantity": items["quantity"][order],
            "items.price": self._prices.row(items)[order],
        }
        return columns, np.logical_or.reduceat(self._is_novel[token], starts)

    def _as_of_rows(self, part: Timelines) -> np.ndarray:
        """Row of each trip in the part's customer_weeks."""
        weeks = max(self._tables.last_week, int(part.trips["week"].max())) + 1
        keys, wanted = (
            table["customer_key"].astype(np.int64) * weeks + table["week"]
            for table in (part.customer_weeks, part.trips)
        )
        return self._row_of(keys, wanted, "customer and week in customer_history")

    def _row_of(self, keys: np.ndarray, wanted: np.ndarray, what: str) -> np.ndarray:
        """Rows of `wanted` in the sorted `keys`."""
        rows = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        missing = keys[rows] != wanted
        if missing.any():
            raise ExportError(
                f"{self._tables.database}: {missing.sum():,} trips lack their {what}. Did dbt "
                "build finish?"
            )
        return rows

    def _customer_weeks(self, rows: Columns) -> Columns:
        tables, labels = self._tables, self._statics.labels
        by_department = dict(
            zip(tables.departments, np.array(rows["department_shares"].tolist()).T, strict=True)
        )
        nothing = np.zeros(len(rows["week"]))
        shares = [by_department.get(code, nothing) for code in labels["department"]]
        store_rows = np.append(-1, self._found.store)  # key 0: no trips yet
        return {
            "customer_weeks.customer": rows["customer_key"] - 1,
            **{f"customer_weeks.{name}": rows[name] for name in ("week", *CUSTOMER_FIGURES)},
            "customer_weeks.department_shares": np.stack(shares, axis=1),
            **{
                f"customer_weeks.{kind}_shares": self._kind_shares(rows, kind)
                for kind in ("type", "focus")
            },
            "customer_weeks.primary_store": store_rows[rows["primary_store_key"]] + 1,
        }

    def _kind_shares(self, rows: Columns, kind: str) -> np.ndarray:
        """Shares of trips by label of a vocabulary, unclassified last, (rows, labels + 1).

        Trips with labels that it does not have count as unclassified.
        """
        labels = self._statics.labels[kind]
        shares = np.array(rows[f"{kind}_shares"].tolist())
        codes = encode(self._tables.kinds[kind], labels)
        found = np.zeros((len(shares), len(labels) + 1))
        for column, code in enumerate([*codes, 0]):
            found[:, code - 1] += shares[:, column]
        return found


class PriceRows:
    """Finds combinations of prices among the distinct ones, which are the rows of shelf_prices.

    Raises ExportError where there could be more combinations than an int64 numbers.
    """

    def __init__(self, distinct: Columns) -> None:
        """distinct: each combination once, in the order of its columns."""
        self._levels = {name: np.unique(values) for name, values in distinct.items()}
        if math.prod(map(len, self._levels.values())) > np.iinfo(np.int64).max:
            counts = ", ".join(f"{len(found):,} of {name}" for name, found in self._levels.items())
            raise ExportError(
                f"cache_items has too many different prices to number their combinations: {counts} "
                "multiply to more than 2^63"
            )
        self._keys = self._key(distinct)

    def row(self, prices: Columns) -> np.ndarray:
        """Row of each of these combinations."""
        return np.searchsorted(self._keys, self._key(prices))

    def _key(self, prices: Columns) -> np.ndarray:
        key = np.zeros(1, dtype=np.int64)
        for name, levels in self._levels.items():
            key = key * len(levels) + np.searchsorted(levels, prices[name])
        return key


def shelf_columns(tables: Tables, found: Match) -> Columns:
    """Columns of shelf_prices, anonymous_prices and promotions."""
    shelves = ("week", "pence"), ("week", "display", "mailer")
    return {
        **{f"shelf_prices.{name}": values for name, values in tables.item_prices.items()},
        **_of_shelves("anonymous_prices", tables.anonymous_prices, shelves[0], found),
        **_of_shelves("promotions", tables.promotions, shelves[1], found),
    }


def _of_shelves(table: str, rows: Columns, names: tuple[str, ...], found: Match) -> Columns:
    """Columns of a table of products at stores, without those that the cache lacks."""
    product, store = rows["product_key"] - 1, found.store[rows["store_key"] - 1]
    kept = ~found.is_unknown_product[product] & (store >= 0)
    return {
        f"{table}.product": found.token[product[kept]] - 1,
        f"{table}.store": store[kept],
        **{f"{table}.{name}": rows[name][kept] for name in names},
    }
