"""The tensor cache's format: every column with its dtype, length, unit and meaning.

One `.npy` file per column, `<table>.<column>.npy`, beside `manifest.json`. A table's columns have
one value per row; where a column `<x>_offsets` has one more, the rows of the finer table that
belong to row i are offsets[i]..offsets[i + 1]. Nothing is padded. Integers take the smallest
unsigned dtype that holds their largest value, unless the column names a dtype.

Numbers that the warehouse leaves null (a customer's shares before the first trip) are 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SCHEMA_VERSION = 4
"""Changes whenever a column changes its meaning, so that an old cache is refused."""

SMALLEST = "smallest unsigned"
TEXT = "bytes"
MAX_TEXT = 1000
"""Characters of a text in the warehouse: each row of the cache is as wide as the longest."""
MAX_PRICE = 2**24 - 1
"""Pence of a price: up to here float32 holds every whole number."""

CONTEXT = ("size", "sensitivity", "type", "focus")
"""Columns of the trip context, the kind of a trip. Which labels each has, the manifest says: code 1
onwards; 0 is unknown. Those of size and of price sensitivity are scales, in order."""
MAX_KINDS = 255
"""Labels of a column of the trip context."""

LABELS_FROM_TRAINING = ("price_sensitivity", "lifestage", "store_format", "store_region")
"""Labels that the training weeks define, code 1 onwards in alphabetical order; 0 is any other."""

LEVELS = ("category_1", "category_2", "category_3", "category_4")
EDGE_TYPES = ("copurchase", "substitution", "hierarchy")
TIERS = ("value", "mainstream", "premium")


@dataclass(frozen=True)
class Column:
    """One file of the cache."""

    name: str
    """`<table>.<column>`."""
    dtype: str
    """A numpy dtype, `SMALLEST` or `TEXT` (fixed-width bytes)."""
    unit: str
    description: str
    width: str | None = None
    """Name of the second dimension, one of `LabelCounts.widths`; None for one dimension."""

    @property
    def table(self) -> str:
        return self.name.partition(".")[0]

    @property
    def is_price(self) -> bool:
        """Whether it holds prices, of which whole pence are exact."""
        return self.unit == "pence" and self.dtype == "float32"

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest number it may hold."""
        if self.is_price:
            return 0, MAX_PRICE
        if self.dtype == SMALLEST:
            return 0, np.iinfo(np.int64).max
        if self.dtype == "bool":
            return 0, 1
        dtype = np.dtype(self.dtype)
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        return limits.min, limits.max

    def holds(self, values: np.ndarray) -> bool:
        """Whether an array has the dtype and dimensions of the column."""
        kind = {TEXT: "S", SMALLEST: "u"}.get(self.dtype)
        is_of_dtype = values.dtype == self.dtype if kind is None else values.dtype.kind == kind
        return is_of_dtype and values.ndim == (1 if self.width is None else 2)

    @property
    def is_offsets(self) -> bool:
        """Whether it has one value more than its table has rows."""
        return self.name.endswith("_offsets")


class LabelCounts(NamedTuple):
    """How many labels the columns of a vocabulary have, unknown not counted."""

    size: int
    sensitivity: int
    type: int
    focus: int
    department: int

    @classmethod
    def of(cls, labels: Mapping[str, Sequence[str]]) -> LabelCounts:
        """labels: by name, as in the manifest."""
        return cls(*(len(labels[name]) for name in cls._fields))

    @property
    def codes(self) -> dict[str, int]:
        """Codes of each column of the trip context, unknown included."""
        return {name: getattr(self, name) + 1 for name in CONTEXT}

    @property
    def widths(self) -> dict[str, int]:
        """Length of each second dimension of columns."""
        return {"departments": self.department, "types": self.type + 1, "focuses": self.focus + 1}


def _shares(table: str, names: str, unit: str, description: str) -> list[Column]:
    return [Column(f"{table}.{name}", "float16", unit, description) for name in names.split()]


COLUMNS: tuple[Column, ...] = (
    # Timelines: customers, their trips in order, the items of each trip.
    Column("customers.code", TEXT, "", "customer code; rows in the order of first weeks"),
    Column("customers.price_sensitivity", SMALLEST, "label", "segment on the first trip"),
    Column("customers.lifestage", SMALLEST, "label", "segment on the first trip"),
    Column("customers.trip_offsets", SMALLEST, "row", "trips of a customer, in timeline order"),
    Column("trips.basket_id", TEXT, "", "basket id as in the raw data"),
    Column("trips.customer_week", SMALLEST, "row", "customer_weeks row as of the trip's week"),
    Column("trips.week", SMALLEST, "week", "week number, from 1"),
    Column("trips.day", SMALLEST, "row", "days row of the trip's date"),
    Column("trips.hour", "uint8", "hour", "hour of day, 0 to 23"),
    Column("trips.store", SMALLEST, "row", "stores row"),
    Column("trips.size", "uint8", "label", "basket size"),
    Column("trips.sensitivity", "uint8", "label", "price sensitivity of the basket"),
    Column("trips.type", "uint8", "label", "trip type"),
    Column("trips.focus", "uint8", "label", "trip focus (dominant mission)"),
    Column("trips.days_since_previous", "int16", "days", "since the trip before; -1 for the first"),
    Column("trips.spend_pence", SMALLEST, "pence", "spend of the whole basket"),
    Column("trips.is_cold_start", "bool", "", "fewer than cold_start_trips trips before"),
    Column("trips.has_novel_product", "bool", "", "holds a product first sold after training"),
    Column("trips.is_replay", "bool", "", "copies an earlier trip of the customer"),
    Column("trips.item_offsets", SMALLEST, "row", "items of a trip, in the order of tokens"),
    Column("items.token", SMALLEST, "token", "product, or the fallback token of a category"),
    Column("items.quantity", SMALLEST, "units", "units bought; a weighed portion is 1"),
    Column("items.price", SMALLEST, "row", "shelf_prices row: product, store and week of the item"),
    # The different price situations of items: far fewer than items.
    Column("shelf_prices.pence", "float32", "pence", "price at the store in the week"),
    Column(
        "shelf_prices.previous_pence", "float32", "pence",
        "price last seen at the store in an earlier week; the same price where there was none",
    ),
    Column("shelf_prices.base_pence", "float32", "pence", "highest of the trailing base weeks"),
    # Prices that no item shows: only anonymous trips bought the product at the store in the week.
    Column("anonymous_prices.product", SMALLEST, "row", "products row"),
    Column("anonymous_prices.store", SMALLEST, "row", "stores row"),
    Column("anonymous_prices.week", SMALLEST, "week", "week number, from 1"),
    Column("anonymous_prices.pence", "float32", "pence", "price at the store in the week"),
    # Display and mailer of products that the training weeks say enough of, in the order of weeks,
    # products and stores. Of a store without any row nothing is known.
    Column("promotions.product", SMALLEST, "row", "products row"),
    Column("promotions.store", SMALLEST, "row", "stores row"),
    Column("promotions.week", SMALLEST, "week", "week number, from 1"),
    Column("promotions.display", "uint8", "ASCII", "where it was on display; 0 if nowhere"),
    Column("promotions.mailer", "uint8", "ASCII", "where the mailer had it; 0 if nowhere"),
    # A customer as of a week: from trips of earlier weeks only.
    Column("customer_weeks.customer", SMALLEST, "row", "customers row"),
    Column("customer_weeks.week", SMALLEST, "week", "as-of week; trips of earlier weeks count"),
    Column("customer_weeks.trips", SMALLEST, "trips", "earlier trips"),
    Column("customer_weeks.history_weight", "float32", "", "b = min(1, trips / 20)"),
    Column("customer_weeks.weeks_with_trips", SMALLEST, "weeks", "earlier weeks with a trip"),
    Column("customer_weeks.recency_days", SMALLEST, "days", "last trip to the week's first day"),
    Column("customer_weeks.tenure_days", SMALLEST, "days", "first trip to the week's first day"),
    Column("customer_weeks.gap_days_mean", "float32", "days", "mean gap between trips"),
    Column("customer_weeks.gap_days_spread", "float32", "days", "deviation of the gaps"),
    Column("customer_weeks.spend_pence_per_trip", "float32", "pence/trip", "mean spend"),
    Column("customer_weeks.items_per_trip", "float32", "items", "mean items of a trip"),
    Column("customer_weeks.units_per_item", "float32", "units", "mean units of an item"),
    *_shares("customer_weeks", "repeat_rate", "share", "items bought on an earlier trip too"),
    Column(
        "customer_weeks.department_shares", "float16", "share", "items by department",
        width="departments",
    ),
    Column(
        "customer_weeks.type_shares", "float16", "share",
        "earlier trips by type, code 1 onwards, unclassified last", width="types",
    ),
    Column(
        "customer_weeks.focus_shares", "float16", "share",
        "earlier trips by focus, code 1 onwards, unclassified last", width="focuses",
    ),
    *_shares("customer_weeks", "type_entropy focus_entropy", "nats", "entropy of the kinds"),
    *_shares(
        "customer_weeks",
        "price_sensitivity_mean price_sensitivity_spread basket_size_mean basket_size_spread "
        "consistency",
        "", "as in the mart customer_missions",
    ),
    Column(
        "customer_weeks.primary_store", SMALLEST, "row + 1",
        "stores row + 1 of the store with the most trips; 0 without trips",
    ),
    Column("customer_weeks.stores", SMALLEST, "stores", "stores visited"),
    Column("customer_weeks.regions", SMALLEST, "regions", "regions visited"),
    *_shares(
        "customer_weeks", "primary_store_share top_3_store_share store_hhi switching_rate",
        "share", "as in the mart customer_store_affinity",
    ),
    # The calendar: every day of the weeks of time.csv.
    Column("days.date", "int32", "days since 1970-01-01", "date"),
    Column("days.week", SMALLEST, "week", "week number, from 1"),
    Column("days.weekday", "uint8", "", "1 (Sunday) to 7 (Saturday)"),
    Column("days.week_of_year", "uint8", "", "ISO week, 1 to 53"),
    Column("days.day_of_year", "uint16", "", "1 to 366"),
    Column("days.holiday", SMALLEST, "label", "public holiday; 0 for none"),
    Column("days.until_holiday", "uint8", "days", "to the next holiday, at most 255; 0 on one"),
    Column("days.since_holiday", "uint8", "days", "since the last holiday, at most 255; 0 on one"),
    Column("weeks.shop_week", "uint32", "", "week as the chain codes it, row = week - 1"),
    Column("weeks.is_replayed", "bool", "", "most of its trips are copies of earlier ones"),
    # Statics: training weeks only. With the labels they are the vocabulary of a model.
    Column("products.code", TEXT, "", "product code; row = token - 1"),
    Column("products.category", SMALLEST, "row", "categories row of the sub-commodity"),
    Column("products.is_novel", "bool", "", "first sold after the training weeks"),
    Column("products.is_random_weight", "bool", "", "sold by weight"),
    Column("products.pence", "float32", "pence", "training median price, or the category's"),
    Column(
        "products.category_pence", "float32", "pence",
        "median of products.pence over the sub-commodity's products sold in training, "
        "or over the nearest category above with any",
    ),
    Column("products.train_trips", SMALLEST, "trips", "training trips with it, anonymous included"),
    Column("products.tier", "uint8", "label", "price tier: value, mainstream, premium from 0"),
    Column("products.stability", "float32", "", "1 - variation of the weekly price"),
    Column("products.volume_share", "float32", "share", "of the sub-commodity's training units"),
    Column("categories.code", TEXT, "", "category code; rows sorted by level, then code"),
    Column("categories.level", "uint8", "label", "level of the hierarchy, 0 = category_1 to 3"),
    Column("categories.parent", "int32", "row", "categories row one level up; -1 at the top"),
    Column("categories.is_novel", "bool", "", "no product of it was sold in training"),
    Column(
        "categories.pence", "float32", "pence",
        "median of products.category_pence over the products below it sold in training, else over "
        "all below it; without any, over the chain's",
    ),
    Column("graph.source", SMALLEST, "node", "row of products, or products + row of categories"),
    Column("graph.target", SMALLEST, "node", "as source"),
    Column("graph.type", "uint8", "label", "copurchase, substitution, hierarchy from 0"),
    Column("graph.weight", "float32", "", "comparable within a type only"),
    Column("stores.code", TEXT, "", "store code"),
    Column("stores.format", "uint8", "label", "store format"),
    Column("stores.region", SMALLEST, "label", "store region"),
    Column("stores.assortment_breadth", "float32", "products", "distinct products sold"),
    Column("stores.trips_per_week", "float32", "trips", "traffic"),
    Column("stores.items_per_week", "float32", "items", "size proxy"),
    Column("stores.local_competition", "float32", "", "trips to rivals in the region per own trip"),
    Column("stores.age_weeks", "float32", "weeks", "first sale to the end of training"),
    Column("stores.is_novel", "bool", "", "first seen after training: figures are its kind's"),
)  # fmt: skip

COLUMN = {column.name: column for column in COLUMNS}
LATER_TABLES = ("promotions",)
"""Tables that caches and checkpoints of earlier versions lack: they are read as empty."""
STATIC_TABLES = ("products", "categories", "graph", "stores")
TIMELINE_TABLES = ("customers", "trips", "items", "customer_weeks")
"""Tables whose every row is of one customer: those that `trainer.cache.shards` cuts."""
