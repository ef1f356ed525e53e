{{ config(materialized='view') }}

-- The baskets with the keys of trips.
select
    -- Chronological, so that the key of a trip does not depend on anything that happens later.
    trip_days.earlier_trips + baskets.number_in_day as trip_key,
    baskets.basket_id,
    baskets.customer_code,
    baskets.customer_price_sensitivity,
    baskets.customer_lifestage,
    baskets.store_code,
    baskets.store_format,
    baskets.store_region,
    baskets.week,
    baskets.shop_week,
    baskets.shop_date,
    baskets.shop_hour,
    baskets.basket_size,
    baskets.trip_price_sensitivity,
    baskets.trip_type,
    baskets.trip_focus,
    baskets.is_simulated,
    baskets.reject_reason
from {{ ref('int_checked_baskets') }} as baskets
left join {{ ref('int_trip_days') }} as trip_days
    on baskets.shop_date = trip_days.shop_date
