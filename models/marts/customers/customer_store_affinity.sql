{{ config(materialized='weekly', meta={'by': 'as_of_week'}) }}

with frames as (
    select
        customer_key,
        week,
        trips
    from {{ ref('int_customer_weeks') }}
),

visits as (
    select * from {{ ref('int_customer_store_visits') }}
),

stores as (
    select
        store_key,
        store_code,
        store_region
    from {{ ref('int_stores') }}
),

switches as (
    select
        customer_key,
        week,
        bool_or(is_new_store)::integer as switched
    from visits
    group by customer_key, week
),

switching as (
    select
        frames.customer_key,
        frames.week,
        sum(switches.switched) over earlier as weeks_switched,
        count(*) filter (where frames.trips > 0) over earlier as weeks_with_trips
    from frames
    left join switches
        on frames.customer_key = switches.customer_key and frames.week = switches.week
    window {{ earlier_window('frames.customer_key', 'frames.week') }}
),

own_stores as (
    select distinct
        customer_key,
        store_key
    from visits
),

-- Each as-of week of a customer with each store that they ever visit: trips there so far.
running as (
    select
        frames.customer_key,
        frames.week,
        own_stores.store_key,
        {{ sum_earlier('visits.trips', 'integer') }} as trips
    from frames
    inner join own_stores on frames.customer_key = own_stores.customer_key
    left join visits
        on
            frames.customer_key = visits.customer_key
            and frames.week = visits.week
            and own_stores.store_key = visits.store_key
    window {{ earlier_window('frames.customer_key, own_stores.store_key', 'frames.week') }}
),

ranked as (
    select
        running.*,
        stores.store_region,
        row_number() over (
            partition by running.customer_key, running.week
            order by running.trips desc, stores.store_code asc
        ) as store_rank
    from running
    inner join stores on running.store_key = stores.store_key
    where running.trips > 0
),

affinity as (
    select
        customer_key,
        week,
        sum(trips)::integer as trips,
        max(store_key) filter (where store_rank = 1) as primary_store_key,
        max(trips) filter (where store_rank = 1)::integer as primary_trips,
        sum(trips) filter (where store_rank <= 3)::integer as top_3_trips,
        sum(trips::bigint * trips)::bigint as trips_squared,
        count(*)::integer as stores,
        count(distinct store_region)::integer as regions
    from ranked
    group by customer_key, week
)

select
    frames.customer_key,
    frames.week as as_of_week,
    affinity.primary_store_key,
    coalesce(affinity.trips, 0) as trips,
    coalesce(affinity.stores, 0) as stores,
    coalesce(affinity.regions, 0) as regions,
    affinity.primary_trips / affinity.trips as primary_store_share,
    affinity.top_3_trips / affinity.trips as top_3_store_share,
    affinity.trips_squared / (affinity.trips::bigint * affinity.trips) as store_hhi,
    switching.weeks_switched / nullif(switching.weeks_with_trips, 0) as switching_rate
from frames
inner join switching
    on frames.customer_key = switching.customer_key and frames.week = switching.week
left join affinity on frames.customer_key = affinity.customer_key and frames.week = affinity.week
order by frames.customer_key, frames.week
