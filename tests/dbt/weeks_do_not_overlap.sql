-- A date belongs to one week, and week codes run with time.
select
    'time.csv: week ' || shop_week || ' begins on ' || date_from
    || ', before or when the week before it ends, on ' || previous_date_to as problem
from (
    select
        shop_week,
        date_from,
        lag(date_to) over (order by week) as previous_date_to
    from {{ ref('stg_weeks') }}
)
where date_from <= previous_date_to
