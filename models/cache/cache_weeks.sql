-- The calendar with totals of several marts per week, by which the export checks that all of them
-- were built from the same rows.
with weeks as (
    select * from {{ ref('weeks') }}
),

items as (
    select
        week,
        count(*) as items
    from {{ ref('trip_items') }}
    group by week
),

prices as (
    select
        week,
        sum(sales)::bigint as sales
    from {{ ref('prices') }}
    group by week
)

select
    weeks.week,
    weeks.shop_week,
    weeks.split,
    {{ days_since_epoch('weeks.date_from') }}::integer as day_from,
    {{ days_since_epoch('weeks.date_to') }}::integer as day_to,
    weeks.trips,
    weeks.items,
    weeks.spend_pence,
    coalesce(items.items, 0) as items_listed,
    coalesce(prices.sales, 0) as items_priced,
    weeks.is_replayed_week as is_replayed
from weeks
left join items on weeks.week = items.week
left join prices on weeks.week = prices.week
