{{ config(materialized='of_training') }}

-- What is a small basket, a large one, a varied one, for trips whose source has no kinds: one row.
with items as (
    select
        items.trip_key,
        items.quantity,
        products.product_code,
        products.category_1,
        products.category_2,
        products.category_3,
        products.category_4
    from {{ ref('int_items') }} as items
    inner join {{ ref('int_baskets') }} as trips on items.trip_key = trips.trip_key
    inner join {{ ref('int_products') }} as products on items.product_key = products.product_key
    where
        trips.reject_reason is null
        and trips.basket_size is null
        and items.week <= {{ train_last_week() }}
),

baskets as (
    select
        trip_key,
        sum(quantity) as unit_count,
        count(distinct category_1) as level_1,
        count(distinct category_2) as level_2,
        count(distinct category_3) as level_3,
        count(distinct category_4) as level_4,
        count(*) as products
    from items
    group by trip_key
),

-- How varied a basket is, is counted on the coarsest level of which half the trips have three
-- categories.
variety as (
    select
        percentile_disc(0.5) within group (order by level_1) >= 3 as has_level_1,
        percentile_disc(0.5) within group (order by level_2) >= 3 as has_level_2,
        percentile_disc(0.5) within group (order by level_3) >= 3 as has_level_3,
        percentile_disc(0.5) within group (order by level_4) >= 3 as has_level_4
    from baskets
),

counted as (
    select
        variety.*,
        baskets.unit_count,
        case
            when variety.has_level_4 then baskets.level_4
            when variety.has_level_3 then baskets.level_3
            when variety.has_level_2 then baskets.level_2
            when variety.has_level_1 then baskets.level_1
            else baskets.products
        end as category_count
    from baskets
    cross join variety
)

select
    bool_or(has_level_1) as has_level_1,
    bool_or(has_level_2) as has_level_2,
    bool_or(has_level_3) as has_level_3,
    bool_or(has_level_4) as has_level_4,
    percentile_disc(0.25) within group (order by unit_count) as small_units,
    percentile_disc(0.65) within group (order by unit_count) as medium_units,
    percentile_disc(0.8) within group (order by unit_count) as many_units,
    percentile_disc(0.5) within group (order by category_count) as some_categories,
    percentile_disc(0.85) within group (order by category_count) as many_categories
from counted
