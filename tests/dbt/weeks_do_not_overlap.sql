-- A date belongs to one week, and week codes run with time.
select
    week,
    date_from,
    previous_date_to
from (
    select
        week,
        date_from,
        lag(date_to) over (order by week) as previous_date_to
    from {{ ref('stg_weeks') }}
)
where date_from <= previous_date_to
