{{ config(materialized='weekly') }}

-- The rows of every as-of mart: one per customer and week with a trip, plus one for the week
-- after the data, with what the customer did in that week. The marts add up earlier rows only,
-- never that of the same week.
with labels as (
    select * from {{ ref('int_kind_labels') }}
),

trips as (
    select
        trips.*,
        {{ days_between(
            'lag(trips.shop_date) over (partition by trips.customer_key order by trips.trip_number)',
            'trips.shop_date'
        ) }} as gap_days,
        sensitivities.score as sensitivity,
        sizes.score as size
    from {{ ref('int_trips') }} as trips
    left join labels as sensitivities
        on
            sensitivities.kind = 'sensitivity'
            and trips.trip_price_sensitivity = sensitivities.label
    left join labels as sizes on sizes.kind = 'size' and trips.basket_size = sizes.label
    -- A weekly build makes only the row of the week after the data for customers who did not come.
    where trips.customer_key in (
        select later.customer_key
        from {{ ref('int_trips') }} as later
        where {{ changed_since('later.week') }}
    )
),

customers as (
    select customer_key
    from {{ ref('int_customers') }}
),

-- An item is a repeat unless it is of the customer's first trip with the product: of a week's items
-- as many are not as there are products first bought in it.
first_purchases as (
    select
        customer_key,
        week,
        count(*) as items
    from {{ ref('int_first_purchases') }}
    group by customer_key, week
),

activity as (
    select
        customer_key,
        week,
        count(*)::integer as trips,
        sum(item_count)::integer as items,
        sum(unit_count)::bigint as units,
        sum(spend_pence)::bigint as spend_pence,
        min(shop_date) as first_date,
        max(shop_date) as last_date,
        coalesce(sum(gap_days), 0)::integer as gap_days,
        coalesce(sum(gap_days * gap_days), 0)::bigint as gap_days_squared,
        count(gap_days)::integer as gaps,
        count(sensitivity)::integer as sensitivity_trips,
        coalesce(sum(sensitivity), 0)::integer as sensitivity_steps,
        coalesce(sum(sensitivity * sensitivity), 0)::integer as sensitivity_steps_squared,
        count(size)::integer as size_trips,
        coalesce(sum(size), 0)::integer as size_hundredths,
        coalesce(sum(size * size), 0)::integer as size_hundredths_squared
    from trips
    group by customer_key, week
),

-- The data are all trips: the last weeks may have anonymous ones alone.
next_week as (
    select max(week) + 1 as week
    from {{ ref('int_trips') }}
),

frames as (
    select
        customer_key,
        week
    from activity
    union all
    select
        customers.customer_key,
        next_week.week
    from customers
    cross join next_week
)

select
    frames.customer_key,
    frames.week::smallint as week,
    coalesce(activity.trips, 0) as trips,
    coalesce(activity.items, 0) as items,
    coalesce(activity.units, 0) as units,
    (coalesce(activity.items, 0) - coalesce(first_purchases.items, 0))::integer as repeat_items,
    coalesce(activity.spend_pence, 0) as spend_pence,
    activity.first_date,
    activity.last_date,
    coalesce(activity.gaps, 0) as gaps,
    coalesce(activity.gap_days, 0) as gap_days,
    coalesce(activity.gap_days_squared, 0) as gap_days_squared,
    coalesce(activity.sensitivity_trips, 0) as sensitivity_trips,
    coalesce(activity.sensitivity_steps, 0) as sensitivity_steps,
    coalesce(activity.sensitivity_steps_squared, 0) as sensitivity_steps_squared,
    coalesce(activity.size_trips, 0) as size_trips,
    coalesce(activity.size_hundredths, 0) as size_hundredths,
    coalesce(activity.size_hundredths_squared, 0) as size_hundredths_squared
from frames
left join activity on frames.customer_key = activity.customer_key and frames.week = activity.week
left join first_purchases
    on frames.customer_key = first_purchases.customer_key and frames.week = first_purchases.week
