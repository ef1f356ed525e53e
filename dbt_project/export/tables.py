"""What the export reads: the models of `models/cache`, their columns, and a total order of each."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.cache.schema import COLUMNS, LEVELS

CUSTOMER_FIGURES = tuple(
    name
    for table, _, name in (column.name.partition(".") for column in COLUMNS)
    if table == "customer_weeks"
    and name
    not in ("customer", "week", "primary_store", "department_shares", "type_shares", "focus_shares")
)
"""Columns of cache_customer_weeks that the cache takes as they are, under the same names."""
STORE_FIGURES = (
    "assortment_breadth", "trips_per_week", "items_per_week", "local_competition", "age_weeks",
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Columns to read of a model, and columns by which its rows have one order."""

    columns: tuple[str, ...]
    order: tuple[str, ...]


TABLES = {
    "weeks": Table(
        (
            "week", "shop_week", "split", "day_from", "day_to", "trips", "items", "spend_pence",
            "items_listed", "items_priced", "is_replayed",
        ),
        ("week",),
    ),
    "settings": Table(
        (
            "full_history_trips", "switching_weeks", "cold_start_trips", "base_price_weeks",
            "country",
        ),
        ("full_history_trips",),
    ),
    "totals": Table(
        (
            "week", "is_identified", "trips", "items", "spend_pence", "items_found",
            "spend_pence_found",
        ),
        ("week", "is_identified"),
    ),
    "labels": Table(("kind", "code", "label"), ("kind", "code")),
    "products": Table(
        (
            "product_key", "product_code", *LEVELS, "node_key", "category", "is_novel",
            "is_random_weight", "pence", "category_pence", "train_trips", "tier", "stability",
            "volume_share",
        ),
        ("product_key",),
    ),
    "categories": Table(
        ("node_key", "code", "level", "parent", "is_novel", "pence"),
        ("node_key",),
    ),
    "graph": Table(("source", "target", "type", "weight"), ("type", "source", "target")),
    "stores": Table(
        (
            "store_key", "store_code", "store_format", "store_region", *STORE_FIGURES, "is_novel",
            "is_of_training",
        ),
        ("store_key",),
    ),
    "customers": Table(
        ("customer_key", "customer_code", "price_sensitivity", "lifestage", "is_of_training"),
        ("customer_key",),
    ),
    "customer_weeks": Table(
        (
            "customer_key", "week", *CUSTOMER_FIGURES, "primary_store_key", "department_shares",
            "type_shares", "focus_shares",
        ),
        ("customer_key", "week"),
    ),
    "trips": Table(
        (
            "trip_key", "basket_id", "customer_key", "store_key", "week", "day", "hour", "size",
            "sensitivity", "type", "focus", "days_since_previous", "item_count", "spend_pence",
            "is_cold_start", "is_replay",
        ),
        ("customer_key", "trip_number"),
    ),
    "items": Table(
        ("trip_key", "product_key", "quantity", "pence", "previous_pence", "base_pence"),
        ("customer_key", "trip_number", "product_key"),
    ),
    "anonymous_prices": Table(
        ("product_key", "store_key", "week", "pence"),
        ("product_key", "store_key", "week"),
    ),
    "promotions": Table(
        ("product_key", "store_key", "week", "display", "mailer"),
        ("week", "product_key", "store_key"),
    ),
}  # fmt: skip
"""By name of the model without `cache_`."""
TIMELINES = ("customer_weeks", "trips", "items")
"""Those that grow with the number of customers' trips."""


def model(name: str) -> str:
    """Name of the dbt model behind one of `TABLES`."""
    return f"cache_{name}"


def query(name: str, condition: str = "true") -> str:
    """SQL that reads the rows of one of `TABLES` that fulfil a condition."""
    table = TABLES[name]
    # Text whichever type the warehouse has.
    columns = [f"{c}::varchar as {c}" if c == "basket_id" else c for c in table.columns]
    return (
        f"select {', '.join(columns)} from {model(name)} where {condition} "
        f"order by {', '.join(table.order)}"
    )
