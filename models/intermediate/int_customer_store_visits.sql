-- Per customer, week of a trip and store visited in it: its trips, and whether the store was new,
-- that is, not visited in the weeks just before.
with trips as (
    select
        customer_key,
        store_key,
        week,
        count(*)::integer as trips
    from {{ ref('int_trips') }}
    where customer_key is not null
    group by customer_key, store_key, week
)

select
    customer_key,
    store_key,
    week,
    trips,
    coalesce(
        week - lag(week) over (partition by customer_key, store_key order by week)
        > {{ var('switching_weeks') }},
        true
    ) as is_new_store
from trips
