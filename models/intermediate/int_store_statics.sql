{{ config(materialized='of_training') }}

-- Figures from the training weeks, for each store with a trip in them.
with items as (
    select * from {{ ref('int_items') }}
    where week <= {{ train_last_week() }}
),

trips as (
    select * from {{ ref('int_trips') }}
    where week <= {{ train_last_week() }}
),

stores as (
    select * from {{ ref('int_stores') }}
),

traffic as (
    select
        store_key,
        count(*) as trips,
        sum(item_count) as items,
        count(distinct week) as weeks
    from trips
    group by store_key
),

assortments as (
    select
        trips.store_key,
        count(distinct items.product_key) as products
    from items
    inner join trips on items.trip_key = trips.trip_key
    group by trips.store_key
)

select
    stores.store_key,
    stores.store_format,
    stores.store_region,
    assortments.products::double as assortment_breadth,
    traffic.trips / traffic.weeks as trips_per_week,
    traffic.items / traffic.weeks as items_per_week,
    -- Trips to other stores of the region per trip to this one.
    (sum(traffic.trips) over (partition by stores.store_region) - traffic.trips)::double
    / traffic.trips as local_competition,
    ({{ train_last_week() }} - stores.first_week + 1)::double as age_weeks
from stores
inner join traffic on stores.store_key = traffic.store_key
inner join assortments on stores.store_key = assortments.store_key
