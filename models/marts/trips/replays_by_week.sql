-- The evidence for replayed weeks. Small baskets repeat naturally, so the deciding share is
-- that of trips of at least replay_min_items items.
with trips as (
    select
        trip_key,
        week,
        item_count >= {{ var('replay_min_items') }} as is_compared
    from {{ ref('int_trips') }}
    where customer_key is not null
),

replays as (
    select * from {{ ref('int_replays') }}
),

weekly as (
    select
        trips.week,
        count(*)::integer as trips,
        count(replays.trip_key)::integer as replays,
        count(*) filter (where trips.is_compared)::integer as compared_trips,
        count(replays.trip_key) filter (where trips.is_compared)::integer as compared_replays
    from trips
    left join replays on trips.trip_key = replays.trip_key
    group by trips.week
)

select
    week,
    {{ split_of('week') }} as split,
    trips,
    replays,
    compared_trips,
    compared_replays,
    compared_replays::double / nullif(compared_trips, 0) as replay_share,
    coalesce(compared_replays > {{ var('replayed_week_share') }} * compared_trips, false)
        as is_replayed_week
from weekly
order by week
