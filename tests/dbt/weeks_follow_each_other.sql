-- Weeks are numbered by their lines in time.csv: where some without data are left out, those on
-- both sides are taken for neighbours.
{{ config(severity='warn') }}

select
    'time.csv: no week holds the days between ' || previous_date_to || ' and ' || date_from
    || '. List weeks without data too' as problem
from (
    select
        week,
        date_from,
        lag(date_to) over (order by week) as previous_date_to
    from {{ ref('stg_weeks') }}
)
where {{ days_between('previous_date_to', 'date_from') }} > 1
order by week
