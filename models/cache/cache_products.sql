-- Rows of the cache count from 0: products first, then categories, as nodes of the product graph.
with products as (
    select * from {{ ref('products') }}
),

prices as (
    select * from {{ ref('price_fallbacks_product') }}
),

pseudo_brands as (
    select * from {{ ref('pseudo_brands') }}
),

nodes as (
    select * from {{ ref('product_graph_nodes') }}
),

product_count as (
    select count(*) as products
    from nodes
    where level = 'product'
),

training_trips as (
    select
        items.product_key,
        count(*)::integer as trips
    from {{ ref('trip_items') }} as items
    inner join {{ ref('weeks') }} as weeks on items.week = weeks.week
    where weeks.split = 'train'
    group by items.product_key
)

select
    products.product_key,
    products.product_code,
    products.category_1,
    products.category_2,
    products.category_3,
    products.category_4,
    coalesce(nodes.node_key, 0) as node_key,
    coalesce(categories.node_key - product_count.products - 1, -1)::integer as category,
    products.is_novel,
    products.is_random_weight,
    prices.price_pence as pence,
    prices.category_price_pence as category_pence,
    coalesce(training_trips.trips, 0) as train_trips,
    {{ code_of(
        'pseudo_brands.price_tier', ['value', 'mainstream', 'premium'], first=0, other='null'
    ) }}::tinyint as tier,
    pseudo_brands.price_stability as stability,
    pseudo_brands.volume_share
from products
inner join prices on products.product_key = prices.product_key
inner join pseudo_brands on products.product_key = pseudo_brands.product_key
cross join product_count
left join nodes on nodes.level = 'product' and products.product_code = nodes.code
left join nodes as categories
    on categories.level = 'category_1' and products.category_1 = categories.code
left join training_trips on products.product_key = training_trips.product_key
