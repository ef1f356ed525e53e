"""Queries of the static tables: training weeks only, every product and store one row."""

from __future__ import annotations

from trainer.cache.schema import LEVELS

from .queries import CODES, STORE_FIGURES


def _category_prices() -> str:
    """CTEs price_of_<code column>: median over the category's products sold in training."""
    return ",\n    ".join(
        f"""price_of_{code} as (
        select {code}, median(price_pence) as price_pence from trained group by {code}
    )"""
        for code in CODES
    )


def _joins_of_category_prices() -> str:
    return "\n    ".join(
        f"left join price_of_{code} on products.{code} = price_of_{code}.{code}" for code in CODES
    )


PRODUCTS = f"""
    with training_trips as (
        select trip_items.product_key, count(*) as trips
        from trip_items
        inner join weeks on trip_items.week = weeks.week
        where weeks.split = 'train'
        group by trip_items.product_key
    ),

    trained as (
        select products.*, prices.price_pence
        from products
        inner join price_fallbacks_product as prices on products.product_key = prices.product_key
        where not products.is_novel
    ),

    {_category_prices()},

    price_of_chain as (
        select median(price_pence) as price_pence from trained
    )

    select
        products.product_key, products.product_code, {", ".join(f"products.{c}" for c in CODES)},
        products.is_novel, products.is_random_weight,
        prices.price_pence as pence,
        coalesce(
            {", ".join(f"price_of_{code}.price_pence" for code in CODES)},
            price_of_chain.price_pence
        ) as category_pence,
        coalesce(training_trips.trips, 0) as train_trips,
        pseudo_brands.price_tier as tier,
        pseudo_brands.price_stability as stability,
        pseudo_brands.volume_share
    from products
    inner join price_fallbacks_product as prices on products.product_key = prices.product_key
    inner join pseudo_brands on products.product_key = pseudo_brands.product_key
    left join training_trips on products.product_key = training_trips.product_key
    {_joins_of_category_prices()}
    cross join price_of_chain
    order by products.product_key
"""

_LEVEL = """
        select
            '{level}' as level, {code} as code,
            {parent_level} as parent_level, {parent_code} as parent_code,
            is_novel, first_week
        from products"""


def _every_category() -> str:
    """Each product once per level of its hierarchy, with the category one level up."""
    parents = [*zip((f"'{level}'" for level in LEVELS[1:]), CODES[1:], strict=True)]
    parents.append(("null", "null"))
    return " union all ".join(
        _LEVEL.format(level=level, code=code, parent_level=parent[0], parent_code=parent[1])
        for level, code, parent in zip(LEVELS, CODES, parents, strict=True)
    )


# A category under several parents belongs to the one with most of its training products, then the
# one seen first: no later product changes that.
CATEGORIES = f"""
    with placed as ({_every_category()}
    ),

    parents as (
        select
            level, code, parent_level, parent_code,
            count(*) filter (where not is_novel) as trained,
            min(first_week) as first_week
        from placed
        group by all
    ),

    categories as (
        select
            level, code, parent_level, parent_code,
            trained = 0 as is_novel
        from parents
        qualify row_number() over (
            partition by level, code order by trained desc, first_week, parent_code
        ) = 1
    )

    select
        nodes.node_key, nodes.code, nodes.level, categories.is_novel,
        coalesce(parents.node_key, 0) as parent_node_key
    from product_graph_nodes as nodes
    inner join categories on nodes.level = categories.level and nodes.code = categories.code
    left join product_graph_nodes as parents
        on categories.parent_level = parents.level and categories.parent_code = parents.code
    order by nodes.node_key
"""

NODES = "select node_key, level, code from product_graph_nodes order by node_key"

EDGES = """
    select source_key, target_key, edge_type, weight
    from product_graph_edges
    order by source_key, target_key, edge_type
"""

STORES = f"""
    select
        stores.store_key, stores.store_code,
        coalesce(stores.store_format, '') as store_format,
        coalesce(stores.store_region, '') as store_region,
        {", ".join(f"stores.{figure}" for figure in STORE_FIGURES)},
        stores.is_novel,
        coalesce(weeks.split = 'train', false) as is_of_training
    from stores
    left join weeks on stores.first_week = weeks.week
    order by stores.store_key
"""
