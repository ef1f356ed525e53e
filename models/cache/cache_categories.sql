-- A category under several parents belongs to the one with most of its training products, then the
-- one sold first: later products do not change that.
{% set levels = [1, 2, 3, 4] %}
with products as (
    select * from {{ ref('products') }}
),

nodes as (
    select * from {{ ref('product_graph_nodes') }}
),

product_count as (
    select count(*) as products
    from nodes
    where level = 'product'
),

-- Each product once per level of its hierarchy, with the category one level up.
placed as (
    {% for level in levels %}
        select
            'category_{{ level }}' as level,
            category_{{ level }} as code,
            {% if loop.last %}
                null::string as parent_level,
                null::string as parent_code,
            {% else %}
                'category_{{ levels[loop.index] }}' as parent_level,
                category_{{ levels[loop.index] }} as parent_code,
            {% endif %}
            is_novel,
            first_week
        from products
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

possible_parents as (
    select
        level,
        code,
        parent_level,
        parent_code,
        count(*) filter (where not is_novel) as trained,
        min(first_week) as first_week
    from placed
    group by level, code, parent_level, parent_code
),

categories as (
    select *
    from possible_parents
    qualify row_number() over (
        partition by level, code
        order by trained desc, first_week asc, parent_code asc
    ) = 1
),

numbered as (
    select
        nodes.node_key,
        nodes.level,
        nodes.code,
        parents.node_key as parent_node_key,
        categories.trained = 0 as is_novel
    from nodes
    left join categories on nodes.level = categories.level and nodes.code = categories.code
    left join nodes as parents
        on categories.parent_level = parents.level and categories.parent_code = parents.code
    where nodes.level != 'product'
),

-- The prices of the products below a category, found by going up from parent to parent. In single
-- precision first, as products.category_pence is stored: the median is of what the cache holds.
prices as (
    select
        products.category_1,
        products.is_novel,
        fallbacks.category_price_pence::float::double as pence
    from products
    inner join {{ ref('price_fallbacks_product') }} as fallbacks
        on products.product_key = fallbacks.product_key
),

below as (
    select
        {{ rows_of_list(new_list([
            'level_1.node_key', 'level_1.parent_node_key',
            'level_2.parent_node_key', 'level_3.parent_node_key',
        ])) }} as node_key,
        prices.is_novel,
        prices.pence
    from prices
    inner join numbered as level_1
        on level_1.level = 'category_1' and prices.category_1 = level_1.code
    left join numbered as level_2 on level_1.parent_node_key = level_2.node_key
    left join numbered as level_3 on level_2.parent_node_key = level_3.node_key
),

-- Where there are products of the training weeks, later ones are left out: they are the future.
prices_below as (
    select
        node_key,
        coalesce(median(pence) filter (where not is_novel), median(pence)) as pence
    from below
    group by node_key
),

chain as (
    select median(pence) as pence
    from prices
    where not is_novel
)

select
    numbered.node_key,
    numbered.code,
    {{ code_of(
        'numbered.level',
        ['category_1', 'category_2', 'category_3', 'category_4'],
        first=0, other='null'
    ) }}::tinyint as level,
    coalesce(numbered.parent_node_key - product_count.products - 1, -1)::integer as parent,
    numbered.is_novel,
    coalesce(prices_below.pence, chain.pence) as pence
from numbered
cross join product_count
cross join chain
left join prices_below on numbered.node_key = prices_below.node_key
