-- Trips that copy an earlier trip of the same customer: same lines (quantity and spend included),
-- store and hour. The original is the first such trip, so a copy of a copy names the same original.
with trips as (
    select * from {{ ref('int_trips') }}
    where customer_key is not null
),

originals as (
    select
        trip_key,
        first_value(trip_key) over (
            partition by customer_key, store_key, shop_hour, item_count, lines_fingerprint
            order by trip_key
        ) as original_trip_key
    from trips
)

select
    trip_key,
    original_trip_key
from originals
where trip_key > original_trip_key
