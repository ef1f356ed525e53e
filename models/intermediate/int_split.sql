-- One row: the last week of each split. Where the vars do not say them, by share of the weeks from
-- the first trip to the last. Simulated weeks have no part in it: they must not move the split.
{% set names = ['train_last_week', 'validation_last_week', 'test_last_week'] %}
{% set fixed = [var(names[0], none), var(names[1], none), var(names[2], none)] %}
{% if fixed | select('none') | list | length not in [0, 3] %}
    {% do exceptions.raise_compiler_error(
        'vars ' ~ names | join(', ') ~ ': set all three of them, or none'
    ) %}
{% elif fixed[0] is not none and (fixed | reject('integer') | list or fixed != fixed | sort) %}
    {% do exceptions.raise_compiler_error(
        'vars ' ~ names | join(', ') ~ ': ' ~ fixed | join(', ')
        ~ '. Expected ascending weeks, as whole numbers'
    ) %}
{% endif %}
{% set shares = [0.68, 0.81, 1] %}
with weeks as (
    select
        min(week) as first_week,
        max(week) as last_week,
        max(week) - min(week) + 1 as weeks
    from {{ ref('int_baskets') }}
    where reject_reason is null and not is_simulated
)

select
    {% for name in names %}
        {% if fixed[0] is none %}
            (first_week - 1 + round({{ shares[loop.index0] }} * weeks))::smallint as {{ name }},
        {% else %}
            {{ fixed[loop.index0] }}::smallint as {{ name }},
        {% endif %}
    {% endfor %}
    weeks::smallint as weeks
from weeks
