-- A date that was written wrong may lie years from all others. The calendar then has all weeks
-- between, and the split of weeks moves.
{{ config(severity='warn') }}

with days as (
    select
        shop_date,
        min_by(source_file, line_id) as source_file,
        min_by(source_line, line_id) as source_line
    from {{ ref('int_lines') }}
    where reject_reason is null and set_aside_reason is null
    group by shop_date
),

steps as (
    select
        shop_date,
        source_file,
        source_line,
        lag(shop_date) over (order by shop_date) as date_before,
        lag(source_file) over (order by shop_date) as file_before,
        lag(source_line) over (order by shop_date) as line_before
    from days
)

select
    concat(
        'no line between ', date_before, ' (', file_before, ', line ', coalesce(line_before, 0),
        ') and ', shop_date, ' (', source_file, ', line ', coalesce(source_line, 0),
        '). If one of the two dates is wrong, correct it: the calendar has all weeks between'
    ) as problem
from steps
where {{ days_between('date_before', 'shop_date') }} > 182
