{% set types = ['small_shop', 'top_up', 'full_shop', 'unclassified'] %}
{% set focuses = ['fresh', 'grocery', 'mixed', 'nonfood', 'unclassified'] %}
{% set type_counts = ['type_1', 'type_2', 'type_3', 'type_4'] %}
{% set focus_counts = ['focus_1', 'focus_2', 'focus_3', 'focus_4', 'focus_5'] %}
with earlier_trips as (
    select
        customer_key,
        week as as_of_week,
        {% for column in type_counts + focus_counts %}
            {{ sum_earlier(column) }} as {{ column }},
        {% endfor %}
        {% for column in [
            'sensitivity_trips', 'sensitivity_halves', 'sensitivity_halves_squared',
            'size_trips', 'size_hundredths', 'size_hundredths_squared'
        ] %}
            {{ sum_earlier(column) }} as {{ column }},
        {% endfor %}
        {{ sum_earlier('trips') }} as trips
    from {{ ref('int_customer_weeks') }}
    window {{ earlier_window() }}
),

derived as (
    select
        *,
        case when trips > 0 then {{ entropy(type_counts, 'trips') }} end as type_entropy,
        case when trips > 0 then {{ entropy(focus_counts, 'trips') }} end as focus_entropy
    from earlier_trips
)

select
    customer_key,
    as_of_week,
    trips::integer as trips,
    {% for type in types %}
        type_{{ loop.index }} / nullif(trips, 0) as type_{{ type }}_share,
    {% endfor %}
    type_entropy,
    {% for focus in focuses %}
        focus_{{ loop.index }} / nullif(trips, 0) as focus_{{ focus }}_share,
    {% endfor %}
    focus_entropy,
    sensitivity_halves / nullif(sensitivity_trips, 0) / 2 as price_sensitivity_mean,
    {{ spread('sensitivity_trips', 'sensitivity_halves', 'sensitivity_halves_squared', 2) }}
        as price_sensitivity_spread,
    size_hundredths / nullif(size_trips, 0) / 100 as basket_size_mean,
    {{ spread('size_trips', 'size_hundredths', 'size_hundredths_squared', 100) }}
        as basket_size_spread,
    -- 1 when every trip is of one kind, 0 when all kinds are equally frequent.
    1 - (type_entropy / ln(4) + focus_entropy / ln(5)) / 2 as consistency
from derived
order by customer_key, as_of_week
