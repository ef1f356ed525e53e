"""Nothing sees the future: cut or scramble all rows from a week on, rebuild, and compare.

Every row about an earlier week must be the same to the bit. Keys of products, customers and stores
follow their codes, so rows are compared by code; keys of trips are chronological and must not move.
"""

from __future__ import annotations

import duckdb
import pytest
from futures import cut, scramble

TRAIN_LAST_WEEK = 80

CUSTOMER_MART = """
    select mart.* exclude (customer_key), customer_code
    from {mart} as mart join customers using (customer_key) where as_of_week < {{week}}"""

# What each mart says about weeks before {week}.
DATED = {
    "weeks": "from weeks where week < {week}",
    "replays_by_week": "from replays_by_week where week < {week}",
    "trips": """
        select trips.* exclude (customer_key, store_key), customer_code, store_code
        from trips join stores using (store_key) left join customers using (customer_key)
        where week < {week}""",
    "trip_items": """
        select trip_items.* exclude (product_key), product_code
        from trip_items join products using (product_key) where week < {week}""",
    "customers": "select * exclude (customer_key) from customers where first_week < {week}",
    "stores": """
        select store_code, store_format, store_region, first_week, is_novel
        from stores where first_week < {week}""",
    "products": """
        select product_code, category_1, category_2, category_3, category_4,
            first_week, is_novel
        from products where first_week < {week}""",
    "customer_store_affinity": """
        select mart.* exclude (customer_key, primary_store_key), customer_code, store_code
        from customer_store_affinity as mart join customers using (customer_key)
        left join stores on primary_store_key = store_key where as_of_week < {week}""",
    "customer_missions": CUSTOMER_MART.format(mart="customer_missions"),
    "customer_history": CUSTOMER_MART.format(
        mart="(select * exclude (category_shares) from customer_history)"
    ),
}

# What depends on a static too: the same once the training weeks are over.
STATIC = {
    "products": "select * exclude (product_key) from products where first_week < {week}",
    "stores": "select * exclude (store_key) from stores where first_week < {week}",
    "prices": """
        select prices.* exclude (product_key, store_key), product_code, store_code
        from prices join products using (product_key) join stores using (store_key)
        where week < {week}""",
    "price_fallbacks_region": """
        select mart.* exclude (product_key), product_code
        from price_fallbacks_region as mart join products using (product_key)
        where week < {week}""",
    "price_fallbacks_product": """
        select mart.* exclude (product_key), product_code
        from price_fallbacks_product as mart join products using (product_key)
        where first_week < {week}""",
    "product_graph_edges": """
        select edges.* exclude (source_key, target_key),
            source.level, source.code, target.level as target_level, target.code as target_code
        from product_graph_edges as edges
        join product_graph_nodes as source on source_key = source.node_key
        join product_graph_nodes as target on target_key = target.node_key""",
    "pseudo_brands": """
        select mart.* exclude (product_key, pseudo_brand_key), product_code
        from pseudo_brands as mart join products using (product_key) where first_week < {week}""",
    "customer_history": CUSTOMER_MART.format(mart="customer_history"),
}


def differences(one, other, query: str) -> int:
    """Rows in one result and not in the other, counted with multiplicity."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one.path}' as one (read_only)")
        connection.execute(f"attach '{other.path}' as other (read_only)")
        for name in ("one", "other"):
            connection.execute(f"use {name}")
            connection.execute(f"create temp table rows_{name} as {query}")
        assert connection.execute("select count(*) from rows_one").fetchone() > (0,)
        return connection.execute(
            "select (select count(*) from (from rows_one except all from rows_other))"
            " + (select count(*) from (from rows_other except all from rows_one))"
        ).fetchone()[0]


@pytest.mark.parametrize("change", [cut, scramble])
@pytest.mark.parametrize("week", [41, 81, 100])
def test_earlier_weeks_do_not_change(changed_future, warehouse, change, week):
    changed = changed_future(change, week)
    queries = DATED | (STATIC if week > TRAIN_LAST_WEEK else {})
    for name, query in queries.items():
        assert differences(warehouse, changed, query.format(week=week)) == 0, name


def test_the_scramble_changes_what_follows(changed_future, warehouse):
    """Otherwise the test above could not fail."""
    changed = changed_future(scramble, 100)
    for name in ("weeks", "trips", "trip_items", "products"):
        assert differences(warehouse, changed, DATED[name].format(week=118)) > 0, name
