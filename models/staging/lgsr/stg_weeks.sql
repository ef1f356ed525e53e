with raw_weeks as (
    {{ raw_weeks() }}
)

select
    row_number() over (order by {{ whole_number('shop_week', 'integer') }})::smallint as week,
    {{ whole_number('shop_week', 'integer') }} as shop_week,
    {{ calendar_date('date_from') }} as date_from,
    {{ calendar_date('date_to') }} as date_to
from raw_weeks
order by week
