with copurchases as (
    select * from {{ ref('int_copurchases') }}
    where
        lift > {{ var('copurchase_min_lift') }}
        and chi_square > {{ var('copurchase_min_chi_square') }}
),

-- Each product has edges to its strongest partners, so a pair may have an edge in each direction.
copurchase_ends as (
    select
        product_key_a as source_key,
        product_key_b as target_key,
        trips_both,
        lift,
        chi_square
    from copurchases
    union all
    select
        product_key_b as source_key,
        product_key_a as target_key,
        trips_both,
        lift,
        chi_square
    from copurchases
),

strongest_copurchases as (
    select * from copurchase_ends
    qualify row_number() over (
        partition by source_key
        order by lift desc, trips_both desc, target_key asc
    ) <= {{ var('copurchase_top') }}
),

substitutes as (
    select * from {{ ref('int_substitutes') }}
),

nodes as (
    select * from {{ ref('product_graph_nodes') }}
),

products as (
    select * from {{ ref('int_products') }}
    where first_week <= {{ train_last_week() }}
),

hierarchy as (
    {% for child, parent, weight in [
        ('product_code', 'category_1', 1),
        ('category_1', 'category_2', 0.5),
        ('category_2', 'category_3', 0.25),
        ('category_3', 'category_4', 0.125),
    ] %}
        select distinct
            '{{ 'product' if child == 'product_code' else child | replace('product', 'prod') }}'
                as child_level,
            {{ child }} as child_code,
            '{{ parent | replace('product', 'prod') }}' as parent_level,
            {{ parent }} as parent_code,
            {{ weight }}::double as weight
        from products
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

edges as (
    select
        source_key,
        target_key,
        'copurchase' as edge_type,
        ln(lift) as weight,
        lift,
        chi_square,
        trips_both,
        null::double as trips_expected,
        null::integer as customers_both
    from strongest_copurchases
    union all
    select
        product_key_a as source_key,
        product_key_b as target_key,
        'substitution' as edge_type,
        evidence as weight,
        null::double as lift,
        null::double as chi_square,
        trips_both,
        trips_expected,
        customers_both
    from substitutes
    union all
    select
        child.node_key as source_key,
        parent.node_key as target_key,
        'hierarchy' as edge_type,
        hierarchy.weight,
        null::double as lift,
        null::double as chi_square,
        null::integer as trips_both,
        null::double as trips_expected,
        null::integer as customers_both
    from hierarchy
    inner join nodes as child
        on hierarchy.child_level = child.level and hierarchy.child_code = child.code
    inner join nodes as parent
        on hierarchy.parent_level = parent.level and hierarchy.parent_code = parent.code
)

select * from edges
order by edge_type, source_key, target_key
