with item_totals as (
    select
        trip_key,
        count(*) as item_count,
        sum(quantity) as unit_count,
        sum(spend_pence) as spend_pence
    from {{ ref('trip_items') }}
    group by trip_key
)

select trips.trip_key
from {{ ref('trips') }} as trips
full outer join item_totals on trips.trip_key = item_totals.trip_key
where
    trips.item_count is distinct from item_totals.item_count
    or trips.unit_count is distinct from item_totals.unit_count
    or trips.spend_pence is distinct from item_totals.spend_pence
