-- Identified customers only: anonymous trips belong to no timeline.
with trips as (
    select * from {{ ref('trips') }}
    where customer_key is not null
)

select
    trip_key,
    basket_id,
    customer_key,
    trip_number,
    store_key,
    week,
    {{ days_since_epoch('shop_date') }}::integer as day,
    shop_hour as hour,
    {{ code_of('basket_size', ['S', 'M', 'L']) }}::tinyint as size,
    {{ code_of('trip_price_sensitivity', ['LA', 'MM', 'UM']) }}::tinyint as sensitivity,
    {{ code_of('trip_type', ['Small Shop', 'Top Up', 'Full Shop']) }}::tinyint as type,
    {{ code_of('trip_focus', ['Fresh', 'Grocery', 'Mixed', 'Nonfood']) }}::tinyint
        as focus,
    coalesce(
        {{ days_between(
            'lag(shop_date) over (partition by customer_key order by trip_number)', 'shop_date'
        ) }},
        -1
    )::integer as days_since_previous,
    item_count,
    spend_pence,
    is_cold_start,
    replay_of is not null as is_replay
from trips
