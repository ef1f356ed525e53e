{{ config(materialized='weekly', meta={'by': 'as_of_week'}) }}

with earlier_trips as (
    select
        customer_key,
        week as as_of_week,
        {% for column in [
            'sensitivity_trips', 'sensitivity_steps', 'sensitivity_steps_squared',
            'size_trips', 'size_hundredths', 'size_hundredths_squared',
        ] %}
            {{ sum_earlier(column) }} as {{ column }},
        {% endfor %}
        {{ sum_earlier('trips') }} as trips
    from {{ ref('int_customer_weeks') }}
    window {{ earlier_window() }}
),

kinds as (
    select * from {{ ref('int_customer_kinds') }}
),

labels as (
    select
        greatest(max(score) filter (where kind = 'sensitivity'), 1) as sensitivity_steps,
        -- Unclassified trips are a kind too.
        count(*) filter (where kind = 'type') + 1 as type_count,
        count(*) filter (where kind = 'focus') + 1 as focus_count
    from {{ ref('int_kind_labels') }}
),

derived as (
    select
        earlier_trips.*,
        {% for kind in ['type', 'focus'] %}
            {% set counts = 'by_' ~ kind ~ '.trips_by_label' %}
            case
                when earlier_trips.trips > 0
                    then {{ divide_list(counts, 'earlier_trips.trips') }}
            end as {{ kind }}_shares,
            case
                when earlier_trips.trips > 0
                    then {{ entropy_of_list(counts, 'earlier_trips.trips') }}
            end as {{ kind }}_entropy,
        {% endfor %}
        labels.type_count,
        labels.focus_count,
        labels.sensitivity_steps as steps
    from earlier_trips
    {% for kind in ['type', 'focus'] %}
        inner join kinds as by_{{ kind }}
            on
                earlier_trips.customer_key = by_{{ kind }}.customer_key
                and earlier_trips.as_of_week = by_{{ kind }}.as_of_week
                and by_{{ kind }}.kind = '{{ kind }}'
    {% endfor %}
    cross join labels
)

select
    customer_key,
    as_of_week,
    trips::integer as trips,
    type_shares,
    type_entropy,
    focus_shares,
    focus_entropy,
    sensitivity_steps / nullif(sensitivity_trips, 0) / steps as price_sensitivity_mean,
    {{ spread('sensitivity_trips', 'sensitivity_steps', 'sensitivity_steps_squared', 'steps') }}
        as price_sensitivity_spread,
    size_hundredths / nullif(size_trips, 0) / 100 as basket_size_mean,
    {{ spread('size_trips', 'size_hundredths', 'size_hundredths_squared', 100) }}
        as basket_size_spread,
    -- 1 when every trip is of one kind, 0 when all kinds are equally frequent.
    1 - (type_entropy / ln(type_count) + focus_entropy / ln(focus_count)) / 2 as consistency
from derived
order by customer_key, as_of_week
