{{ config(materialized='weekly') }}

-- What one unit cost, per product, store and week sold, and what it would have cost without
-- promotions where the source says so. For a product sold by weight no shelf price is observed: it
-- has one stable price, the median portion of the training weeks (of the product, or of its
-- sub-commodity where it was not sold then).
with items as (
    select * from {{ ref('int_items') }}
    where {{ changed_since('week') }}
),

trips as (
    select
        trip_key,
        store_key
    from {{ ref('int_trips') }}
    where {{ changed_since('week') }}
),

products as (
    select
        products.product_key,
        products.category_1,
        random_weight.is_random_weight
    from {{ ref('int_products') }} as products
    inner join {{ ref('int_random_weight') }} as random_weight
        on products.product_key = random_weight.product_key
),

sales as (
    select
        items.product_key,
        products.category_1,
        trips.store_key,
        items.week,
        products.is_random_weight,
        items.quantity,
        items.spend_pence / items.quantity as unit_price_pence,
        items.regular_pence
    from items
    inner join trips on items.trip_key = trips.trip_key
    inner join products on items.product_key = products.product_key
),

portions as (
    select * from {{ ref('int_portion_prices') }}
),

weekly as (
    select
        product_key,
        category_1,
        store_key,
        week,
        is_random_weight,
        min(unit_price_pence) as lowest_price_pence,
        max(unit_price_pence) as highest_price_pence,
        count(*)::integer as sales,
        sum(quantity)::bigint as units
    from sales
    group by product_key, category_1, store_key, week, is_random_weight
),

-- A median over equal prices is that price: only the few shelves with several are sorted.
medians as (
    select
        sales.product_key,
        sales.store_key,
        sales.week,
        median(sales.unit_price_pence) as price_pence
    from sales
    inner join weekly
        on
            sales.product_key = weekly.product_key
            and sales.store_key = weekly.store_key
            and sales.week = weekly.week
    where not weekly.is_random_weight and weekly.lowest_price_pence < weekly.highest_price_pence
    group by sales.product_key, sales.store_key, sales.week
),

stated as (
    select
        product_key,
        store_key,
        week,
        median(regular_pence / quantity) as price_pence
    from sales
    where not is_random_weight and regular_pence is not null
    group by product_key, store_key, week
)

select
    weekly.product_key,
    weekly.store_key,
    weekly.week,
    case
        when weekly.is_random_weight
            then coalesce(portions.price_pence, sub_commodities.price_pence)
        else coalesce(medians.price_pence, weekly.lowest_price_pence)
    end as actual_price_pence,
    stated.price_pence as stated_price_pence,
    weekly.is_random_weight,
    weekly.sales,
    weekly.units
from weekly
left join medians
    on
        weekly.product_key = medians.product_key
        and weekly.store_key = medians.store_key
        and weekly.week = medians.week
left join stated
    on
        weekly.product_key = stated.product_key
        and weekly.store_key = stated.store_key
        and weekly.week = stated.week
left join portions on weekly.product_key = portions.product_key
left join portions as sub_commodities
    on weekly.category_1 = sub_commodities.category_1 and sub_commodities.product_key is null
