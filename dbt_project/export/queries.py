"""What the export reads: marts, their columns, and one query per table, in a total order."""

from __future__ import annotations

from trainer.cache.schema import LABELS_OF_CONTEXT, LEVELS

HISTORY = (
    "trips", "history_weight", "weeks_with_trips", "recency_days", "tenure_days",
    "gap_days_mean", "gap_days_spread", "spend_pence_per_trip", "items_per_trip",
    "units_per_item", "repeat_rate",
)  # fmt: skip
MISSION_SHARES = (
    "type_small_shop", "type_top_up", "type_full_shop", "type_unclassified",
    "focus_fresh", "focus_grocery", "focus_mixed", "focus_nonfood", "focus_unclassified",
)  # fmt: skip
MISSIONS = (
    "type_entropy", "focus_entropy", "price_sensitivity_mean", "price_sensitivity_spread",
    "basket_size_mean", "basket_size_spread", "consistency",
)  # fmt: skip
AFFINITY = (
    "stores", "regions", "primary_store_share", "top_3_store_share", "store_hhi",
    "switching_rate",
)  # fmt: skip
STORE_FIGURES = (
    "assortment_breadth", "trips_per_week", "items_per_week", "local_competition", "age_weeks",
)  # fmt: skip
CODES = tuple(level.replace("prod", "product") for level in LEVELS)
"""Columns of the mart products with the category codes, finest first."""

MARTS: dict[str, tuple[str, ...]] = {
    "weeks": (
        "week", "shop_week", "split", "date_from", "date_to",
        "trips", "items", "spend_pence", "is_replayed_week",
    ),
    "customers": (
        "customer_key", "customer_code", "price_sensitivity", "lifestage", "first_week",
    ),
    "trips": (
        "trip_key", "basket_id", "customer_key", "store_key", "replay_of", "trip_number", "week",
        "shop_date", "shop_hour", "basket_size", "basket_price_sensitivity", "basket_type",
        "basket_dominant_mission", "item_count", "spend_pence", "is_cold_start",
    ),
    "trip_items": ("trip_key", "product_key", "week", "quantity", "spend_pence"),
    "prices": (
        "product_key", "store_key", "week", "actual_price_pence", "base_price_pence", "sales",
    ),
    "price_fallbacks_product": ("product_key", "price_pence"),
    "products": (
        "product_key", "product_code", *CODES, "first_week", "is_random_weight", "is_novel",
    ),
    "pseudo_brands": ("product_key", "price_tier", "price_stability", "volume_share"),
    "product_graph_nodes": ("node_key", "level", "code"),
    "product_graph_edges": ("source_key", "target_key", "edge_type", "weight"),
    "stores": (
        "store_key", "store_code", "store_format", "store_region", "first_week", *STORE_FIGURES,
        "is_novel",
    ),
    "customer_history": ("customer_key", "as_of_week", *HISTORY, "category_shares"),
    "customer_missions": (
        "customer_key", "as_of_week", *(f"{name}_share" for name in MISSION_SHARES), *MISSIONS,
    ),
    "customer_store_affinity": ("customer_key", "as_of_week", "primary_store_key", *AFFINITY),
}  # fmt: skip
"""Marts and the columns of them that the queries below read."""

WEEKS = """
    select
        week, shop_week, split, is_replayed_week, trips, items, spend_pence,
        date_from - date '1970-01-01' as day_from,
        date_to - date '1970-01-01' as day_to
    from weeks
    order by week
"""

# By week, for identified customers and others: what trips and their items say.
TOTALS = """
    with items as (
        select trip_key, count(*) as items, sum(spend_pence) as spend_pence
        from trip_items
        group by trip_key
    )

    select
        trips.week,
        trips.customer_key is not null as is_identified,
        count(*)::bigint as trips,
        sum(trips.item_count)::bigint as items,
        sum(trips.spend_pence)::bigint as spend_pence,
        coalesce(sum(items.items), 0)::bigint as items_found,
        coalesce(sum(items.spend_pence), 0)::bigint as spend_pence_found
    from trips
    left join items on trips.trip_key = items.trip_key
    group by all
    order by all
"""

LINES = """
    select
        (select count(*) from trip_items) as items,
        (select coalesce(sum(sales), 0)::bigint from prices) as sales
"""

CUSTOMERS = """
    select
        customers.customer_key,
        customers.customer_code,
        coalesce(customers.price_sensitivity, '') as price_sensitivity,
        coalesce(customers.lifestage, '') as lifestage,
        coalesce(weeks.split = 'train', false) as is_of_training
    from customers
    left join weeks on customers.first_week = weeks.week
    order by customers.customer_key
"""


def _label(column: str, kind: str) -> str:
    """SQL for the code of a label of the trip context."""
    labels = ", ".join(f"'{label}'" for label in LABELS_OF_CONTEXT[kind])
    return f"coalesce(list_position([{labels}], {column}), 0)"


TRIPS = f"""
    select
        trip_key, basket_id, customer_key, store_key, week, item_count, spend_pence, is_cold_start,
        shop_date - date '1970-01-01' as day,
        shop_hour as hour,
        {_label("basket_size", "size")} as size,
        {_label("basket_price_sensitivity", "sensitivity")} as sensitivity,
        {_label("basket_type", "type")} as type,
        {_label("basket_dominant_mission", "focus")} as focus,
        coalesce(
            shop_date - lag(shop_date) over (partition by customer_key order by trip_number), -1
        ) as days_since_previous,
        replay_of is not null as is_replay
    from trips
    where customer_key is not null
    order by customer_key, trip_number
"""

# Every sold item has a price of its product, store and week. The price before it is of an earlier
# week, so that no price of a later one is read. Prices as stored: equal float32 are one price.
ITEMS = """
    with shelf_prices as (
        select
            product_key, store_key, week,
            actual_price_pence::float as pence,
            base_price_pence::float as base_pence,
            lag(actual_price_pence) over (
                partition by product_key, store_key order by week
            )::float as previous_pence
        from prices
    )

    select
        trip_items.trip_key, trip_items.product_key, trip_items.quantity,
        coalesce(shelf_prices.pence, -1) as pence,
        coalesce(shelf_prices.previous_pence, shelf_prices.pence, -1) as previous_pence,
        coalesce(shelf_prices.base_pence, -1) as base_pence
    from trip_items
    inner join trips on trip_items.trip_key = trips.trip_key
    left join shelf_prices
        on
            trip_items.product_key = shelf_prices.product_key
            and trips.store_key = shelf_prices.store_key
            and trips.week = shelf_prices.week
    where trips.customer_key is not null
    order by trips.customer_key, trips.trip_number, trip_items.product_key
"""


def customer_weeks(departments: int) -> str:
    """Query of the as-of rows; nulls are 0. Departments become columns department_1 and so on."""
    figures = {
        **{name: f"history.{name}" for name in HISTORY},
        **{name: f"missions.{name}_share" for name in MISSION_SHARES},
        **{name: f"missions.{name}" for name in MISSIONS},
        **{name: f"affinity.{name}" for name in AFFINITY},
        "primary_store_key": "affinity.primary_store_key",
        **{f"department_{n}": f"history.category_shares[{n}]" for n in range(1, departments + 1)},
    }
    selected = ",\n        ".join(f"coalesce({sql}, 0) as {name}" for name, sql in figures.items())
    return f"""
    select
        history.customer_key,
        history.as_of_week as week,
        coalesce(len(history.category_shares), {departments}) as departments,
        {selected}
    from customer_history as history
    inner join customer_missions as missions
        on
            history.customer_key = missions.customer_key
            and history.as_of_week = missions.as_of_week
    inner join customer_store_affinity as affinity
        on
            history.customer_key = affinity.customer_key
            and history.as_of_week = affinity.as_of_week
    order by history.customer_key, history.as_of_week
"""
