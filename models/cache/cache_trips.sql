{{ config(materialized='weekly') }}

-- Identified customers only: anonymous trips belong to no timeline.
with trips as (
    select * from {{ ref('trips') }}
    where customer_key is not null
),

labels as (
    select * from {{ ref('int_kind_labels') }}
)

select
    trips.trip_key,
    trips.basket_id,
    trips.customer_key,
    trips.trip_number,
    trips.store_key,
    trips.week,
    {{ days_since_epoch('trips.shop_date') }}::integer as day,
    trips.shop_hour as hour,
    coalesce(sizes.code, 0)::smallint as size,
    coalesce(sensitivities.code, 0)::smallint as sensitivity,
    coalesce(kinds.code, 0)::smallint as type,
    coalesce(focuses.code, 0)::smallint as focus,
    coalesce(
        {{ days_between(
            'lag(trips.shop_date) over (partition by trips.customer_key order by trips.trip_number)',
            'trips.shop_date'
        ) }},
        -1
    )::integer as days_since_previous,
    trips.item_count,
    trips.spend_pence,
    trips.is_cold_start,
    trips.replay_of is not null as is_replay
from trips
left join labels as sizes on sizes.kind = 'size' and trips.basket_size = sizes.label
left join labels as sensitivities
    on sensitivities.kind = 'sensitivity' and trips.trip_price_sensitivity = sensitivities.label
left join labels as kinds on kinds.kind = 'type' and trips.trip_type = kinds.label
left join labels as focuses on focuses.kind = 'focus' and trips.trip_focus = focuses.label
