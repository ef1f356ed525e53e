{{ config(materialized='weekly') }}

-- Every sold item has a price of its product, store and week. The price before it is of an earlier
-- week, so that no price of a later one is read. Prices are in single precision, as they are
-- stored: equal combinations become one row of `shelf_prices`.
with items as (
    select * from {{ ref('trip_items') }}
),

trips as (
    select
        trip_key,
        customer_key,
        trip_number,
        store_key,
        week
    from {{ ref('trips') }}
    where customer_key is not null
),

prices as (
    select
        product_key,
        store_key,
        week,
        actual_price_pence,
        previous_price_pence,
        base_price_pence
    from {{ ref('prices') }}
)

select
    items.trip_key,
    trips.customer_key,
    trips.trip_number,
    trips.week,
    items.product_key,
    items.quantity,
    coalesce(prices.actual_price_pence, -1)::float as pence,
    coalesce(prices.previous_price_pence, prices.actual_price_pence, -1)::float as previous_pence,
    coalesce(prices.base_price_pence, -1)::float as base_pence
from items
inner join trips on items.trip_key = trips.trip_key
left join prices
    on
        items.product_key = prices.product_key
        and trips.store_key = prices.store_key
        and trips.week = prices.week
