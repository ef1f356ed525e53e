{{ config(materialized='weekly') }}

-- Per customer, week of a trip and store visited in it: its trips, and whether the store was new,
-- that is, not visited in the weeks just before.
with trips as (
    select
        customer_key,
        store_key,
        week,
        count(*)::integer as trips
    from {{ ref('int_trips') }}
    where customer_key is not null and {{ changed_since('week') }}
    group by customer_key, store_key, week
),

-- What a weekly build keeps.
earlier as (
    select
        customer_key,
        store_key,
        max(week) as last_week
    from {{ kept_rows(
        {'customer_key': 'integer', 'store_key': 'integer', 'week': 'smallint'}, by='week'
    ) }}
    group by customer_key, store_key
)

select
    trips.customer_key,
    trips.store_key,
    trips.week,
    trips.trips,
    coalesce(
        trips.week - coalesce(
            lag(trips.week) over (
                partition by trips.customer_key, trips.store_key
                order by trips.week
            ),
            earlier.last_week
        )
        > {{ var('switching_weeks') }},
        true
    ) as is_new_store
from trips
left join earlier
    on trips.customer_key = earlier.customer_key and trips.store_key = earlier.store_key
