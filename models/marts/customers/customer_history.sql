{{ config(materialized='weekly', meta={'by': 'as_of_week'}) }}

with weeks as (
    select
        week,
        date_from
    from {{ ref('stg_weeks') }}
    union all
    -- The week after the calendar, in case the data reach its end.
    select
        max(week) + 1 as week,
        max(date_to) + 1 as date_from
    from {{ ref('stg_weeks') }}
),

earlier_trips as (
    select
        customer_key,
        week as as_of_week,
        {{ sum_earlier('trips') }} as trips,
        {{ sum_earlier('items') }} as items,
        {{ sum_earlier('units') }} as units,
        {{ sum_earlier('repeat_items') }} as repeat_items,
        {{ sum_earlier('spend_pence') }} as spend_pence,
        {{ sum_earlier('gaps') }} as gaps,
        {{ sum_earlier('gap_days') }} as gap_days,
        {{ sum_earlier('gap_days_squared') }} as gap_days_squared,
        count(*) filter (where trips > 0) over earlier as weeks_with_trips,
        min(first_date) over earlier as first_date,
        max(last_date) over earlier as last_date
    from {{ ref('int_customer_weeks') }}
    window {{ earlier_window() }}
),

categories as (
    select
        customer_key,
        as_of_week,
        items_by_category
    from {{ ref('int_customer_categories') }}
),

customers as (
    select
        customer_key,
        price_sensitivity,
        lifestage
    from {{ ref('int_customers') }}
)

select
    earlier_trips.customer_key,
    earlier_trips.as_of_week,
    customers.price_sensitivity,
    customers.lifestage,
    earlier_trips.trips::integer as trips,
    earlier_trips.weeks_with_trips::integer as weeks_with_trips,
    -- Days count to the first day of the week: for its trips, later days may be the future.
    {{ days_between('earlier_trips.last_date', 'weeks.date_from') }}::integer as recency_days,
    {{ days_between('earlier_trips.first_date', 'weeks.date_from') }}::integer as tenure_days,
    earlier_trips.gap_days / nullif(earlier_trips.gaps, 0) as gap_days_mean,
    {{ spread(
        'earlier_trips.gaps', 'earlier_trips.gap_days', 'earlier_trips.gap_days_squared', 1
    ) }} as gap_days_spread,
    earlier_trips.spend_pence,
    earlier_trips.spend_pence / nullif(earlier_trips.trips, 0) as spend_pence_per_trip,
    earlier_trips.items::integer as items,
    earlier_trips.items / nullif(earlier_trips.trips, 0) as items_per_trip,
    earlier_trips.units / nullif(earlier_trips.items, 0) as units_per_item,
    earlier_trips.repeat_items / nullif(earlier_trips.items, 0) as repeat_rate,
    case
        when earlier_trips.items > 0
            then {{ divide_list('categories.items_by_category', 'earlier_trips.items') }}
    end as category_shares,
    least(1, earlier_trips.trips / {{ var('full_history_trips') }})::double as history_weight
from earlier_trips
inner join customers on earlier_trips.customer_key = customers.customer_key
inner join weeks on earlier_trips.as_of_week = weeks.week
inner join categories
    on
        earlier_trips.customer_key = categories.customer_key
        and earlier_trips.as_of_week = categories.as_of_week
order by earlier_trips.customer_key, earlier_trips.as_of_week
