{{ config(materialized='weekly') }}

-- Prices that no item of the cache has, because only anonymous trips bought the product at that
-- store in that week. Together with those of the items they are all rows of the mart `prices`.
with prices as (
    select
        product_key,
        store_key,
        week,
        actual_price_pence
    from {{ ref('prices') }}
),

items as (
    select
        trip_key,
        product_key
    from {{ ref('trip_items') }}
),

trips as (
    select
        trip_key,
        store_key,
        week
    from {{ ref('trips') }}
    where customer_key is not null and {{ changed_since('week') }}
),

in_timelines as (
    select
        items.product_key,
        trips.store_key,
        trips.week
    from items
    inner join trips on items.trip_key = trips.trip_key
)

select
    prices.product_key,
    prices.store_key,
    prices.week,
    prices.actual_price_pence::float as pence
from prices
where not exists (
    select 1
    from in_timelines
    where
        prices.product_key = in_timelines.product_key
        and prices.store_key = in_timelines.store_key
        and prices.week = in_timelines.week
)
