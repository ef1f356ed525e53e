-- Format and region are those of the store's first trip, as for customers' segments.
with trips as (
    select * from {{ ref('int_baskets') }}
    where reject_reason is null
)

select
    row_number() over (order by min(week), store_code)::integer as store_key,
    store_code,
    coalesce({{ first_by('store_format', 'trip_key') }}, '') as store_format,
    coalesce({{ first_by('store_region', 'trip_key') }}, '') as store_region,
    min(week)::smallint as first_week
from trips
group by store_code
