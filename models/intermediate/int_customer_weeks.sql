-- The rows of every as-of mart: one per customer and week with a trip, plus one for the week
-- after the data, with what the customer did in that week. The marts add up earlier rows only,
-- never that of the same week.
{% set types = ['Small Shop', 'Top Up', 'Full Shop', 'XX'] %}
{% set focuses = ['Fresh', 'Grocery', 'Mixed', 'Nonfood', 'XX'] %}
with trips as (
    select
        *,
        {{ days_between(
            'lag(shop_date) over (partition by customer_key order by trip_number)', 'shop_date'
        ) }} as gap_days
    from {{ ref('int_trips') }}
    where customer_key is not null
),

customers as (
    select customer_key
    from {{ ref('int_customers') }}
),

items as (
    select * from {{ ref('int_items') }}
),

purchases as (
    select
        trips.customer_key,
        items.week,
        -- A product is a repeat on every trip but the first with it.
        row_number() over (
            partition by trips.customer_key, items.product_key
            order by items.trip_key
        ) > 1 as is_repeat
    from items
    inner join trips on items.trip_key = trips.trip_key
),

repeats as (
    select
        customer_key,
        week,
        count(*) filter (where is_repeat)::integer as repeat_items
    from purchases
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
        {% for type in types %}
            count(*) filter (where trip_type = '{{ type }}')::integer as type_{{ loop.index }},
        {% endfor %}
        {% for focus in focuses %}
            count(*) filter (where trip_focus = '{{ focus }}')::integer
                as focus_{{ loop.index }},
        {% endfor %}
        -- Whole numbers add up exactly: LA 0, MM 1, UM 2 halves; S 33, M 67, L 100 hundredths.
        count(*) filter (where trip_price_sensitivity != 'XX')::integer as sensitivity_trips,
        coalesce(
            sum(case trip_price_sensitivity when 'MM' then 1 when 'UM' then 2 end), 0
        )::integer as sensitivity_halves,
        coalesce(
            sum(case trip_price_sensitivity when 'MM' then 1 when 'UM' then 4 end), 0
        )::integer as sensitivity_halves_squared,
        count(*) filter (where basket_size != 'XX')::integer as size_trips,
        coalesce(
            sum(case basket_size when 'S' then 33 when 'M' then 67 when 'L' then 100 end), 0
        )::integer as size_hundredths,
        coalesce(
            sum(case basket_size when 'S' then 1089 when 'M' then 4489 when 'L' then 10000 end), 0
        )::integer as size_hundredths_squared
    from trips
    group by customer_key, week
),

next_week as (
    select max(week) + 1 as week
    from activity
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
    coalesce(repeats.repeat_items, 0) as repeat_items,
    coalesce(activity.spend_pence, 0) as spend_pence,
    activity.first_date,
    activity.last_date,
    coalesce(activity.gaps, 0) as gaps,
    coalesce(activity.gap_days, 0) as gap_days,
    coalesce(activity.gap_days_squared, 0) as gap_days_squared,
    {% for type in types %}
        coalesce(activity.type_{{ loop.index }}, 0) as type_{{ loop.index }},
    {% endfor %}
    {% for focus in focuses %}
        coalesce(activity.focus_{{ loop.index }}, 0) as focus_{{ loop.index }},
    {% endfor %}
    coalesce(activity.sensitivity_trips, 0) as sensitivity_trips,
    coalesce(activity.sensitivity_halves, 0) as sensitivity_halves,
    coalesce(activity.sensitivity_halves_squared, 0) as sensitivity_halves_squared,
    coalesce(activity.size_trips, 0) as size_trips,
    coalesce(activity.size_hundredths, 0) as size_hundredths,
    coalesce(activity.size_hundredths_squared, 0) as size_hundredths_squared
from frames
left join activity on frames.customer_key = activity.customer_key and frames.week = activity.week
left join repeats on frames.customer_key = repeats.customer_key and frames.week = repeats.week
