{{ config(materialized='weekly', meta={'few_rows': true}) }}

-- Totals of trips beside sums over their items: the export compares the two, and both with the
-- cache.
with trips as (
    select * from {{ ref('trips') }}
),

items as (
    select
        trip_key,
        count(*) as items,
        sum(spend_pence) as spend_pence
    from {{ ref('trip_items') }}
    where {{ changed_since('week') }}
    group by trip_key
)

select
    trips.week,
    trips.customer_key is not null as is_identified,
    count(*)::bigint as trips,
    sum(trips.item_count)::bigint as items,
    sum(trips.spend_pence)::bigint as spend_pence,
    coalesce(sum(items.items), 0)::bigint as items_found,
    coalesce(sum(items.spend_pence), 0)::bigint as spend_pence_found
from trips
left join items on trips.trip_key = items.trip_key
group by trips.week, trips.customer_key is not null
