-- Along a timeline date, hour and basket id never go back, and no number is left out.
with timelines as (
    select
        trip_key,
        trip_number,
        (shop_date, shop_hour, basket_id) as moment,
        lag(trip_number, 1, 0) over timeline as previous_number,
        lag((shop_date, shop_hour, basket_id)) over timeline as previous_moment
    from {{ ref('trips') }}
    where customer_key is not null
    window timeline as (partition by customer_key order by trip_number)
)

select trip_key
from timelines
where trip_number != previous_number + 1 or moment <= previous_moment
