{{ config(materialized='weekly', meta={'by': 'as_of_week'}) }}

-- A customer's earlier trips by type and by focus, as lists in the order of labels, unclassified
-- trips last.
with trips as (
    select
        customer_key,
        week,
        trip_type,
        trip_focus
    from {{ ref('int_trips') }}
    where customer_key is not null
),

labels as (
    select
        kind,
        code,
        label
    from {{ ref('int_kind_labels') }}
    where kind in ('type', 'focus')
    union all
    select
        kind,
        max(code) + 1 as code,
        null as label
    from {{ ref('int_kind_labels') }}
    where kind in ('type', 'focus')
    group by kind
),

-- One whole number for kind and label makes the window below quick.
places as (
    select
        *,
        row_number() over (order by kind, code) as place
    from labels
),

unclassified as (
    select
        max(place) filter (where kind = 'type') as of_type,
        max(place) filter (where kind = 'focus') as of_focus
    from places
),

placed as (
    select
        trips.customer_key,
        trips.week,
        coalesce(kinds.place, unclassified.of_type) as place
    from trips
    cross join unclassified
    left join places as kinds on kinds.kind = 'type' and trips.trip_type = kinds.label
    union all
    select
        trips.customer_key,
        trips.week,
        coalesce(focuses.place, unclassified.of_focus) as place
    from trips
    cross join unclassified
    left join places as focuses on focuses.kind = 'focus' and trips.trip_focus = focuses.label
),

counted as (
    select
        customer_key,
        {{ before_changes('week') }} as week,
        place,
        count(*) as trips
    from placed
    group by customer_key, {{ before_changes('week') }}, place
),

weeks as (
    {{ customer_weeks_to_sum() }}
),

frames as (
    select
        weeks.customer_key,
        weeks.week,
        places.kind,
        places.place
    from weeks
    cross join places
),

running as (
    select
        frames.customer_key,
        frames.week,
        frames.kind,
        frames.place,
        {{ sum_earlier('counted.trips') }} as trips
    from frames
    left join counted
        on
            frames.customer_key = counted.customer_key
            and frames.week = counted.week
            and frames.place = counted.place
    window {{ earlier_window('frames.customer_key, frames.place', 'frames.week') }}
)

select
    customer_key,
    week as as_of_week,
    kind,
    {{ collect_in_order('trips', 'place') }} as trips_by_label
from running
group by customer_key, week, kind
