with weeks as (
    select * from {{ ref('stg_weeks') }}
),

trips as (
    select * from {{ ref('int_trips') }}
),

replays_by_week as (
    select
        week,
        is_replayed_week
    from {{ ref('replays_by_week') }}
),

weekly as (
    select
        week,
        count(*)::integer as trips,
        sum(item_count)::integer as items,
        sum(spend_pence)::bigint as spend_pence,
        bool_or(is_simulated) as is_simulated
    from trips
    group by week
)

select
    weeks.week,
    weeks.shop_week,
    {{ split_of('weeks.week') }} as split,
    weeks.date_from,
    weeks.date_to,
    coalesce(weekly.trips, 0) as trips,
    coalesce(weekly.items, 0) as items,
    coalesce(weekly.spend_pence, 0) as spend_pence,
    coalesce(replays_by_week.is_replayed_week, false) as is_replayed_week,
    coalesce(weekly.is_simulated, false) as is_simulated
from weeks
left join weekly on weeks.week = weekly.week
left join replays_by_week on weeks.week = replays_by_week.week
order by weeks.week
