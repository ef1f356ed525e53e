{{ config(materialized='weekly') }}

-- The timelines: per customer, trip_number orders trips by date, hour and basket id.
with trips as (
    select * from {{ ref('int_trips') }}
),

weeks as (
    select
        week,
        split,
        is_replayed_week
    from {{ ref('weeks') }}
),

replays as (
    select * from {{ ref('int_replays') }}
),

novel_trips as (
    select distinct trip_key
    from {{ ref('trip_items') }}
    where is_novel_product
)

select
    trips.trip_key,
    trips.basket_id,
    trips.customer_key,
    trips.store_key,
    replays.original_trip_key as replay_of,
    trips.trip_number,
    trips.week,
    weeks.split,
    trips.shop_date,
    {{ weekday('trips.shop_date') }}::tinyint as shop_weekday,
    trips.shop_hour,
    trips.basket_size,
    trips.trip_price_sensitivity,
    trips.trip_type,
    trips.trip_focus,
    trips.item_count,
    trips.unit_count,
    trips.spend_pence,
    trips.trip_number <= {{ var('cold_start_trips') }} as is_cold_start,
    novel_trips.trip_key is not null as has_novel_product,
    weeks.is_replayed_week as is_in_replayed_week,
    trips.is_simulated
from trips
inner join weeks on trips.week = weeks.week
left join replays on trips.trip_key = replays.trip_key
left join novel_trips on trips.trip_key = novel_trips.trip_key
order by trips.trip_key
