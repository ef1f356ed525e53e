-- A file or week that is wrong as a whole is a small part of all rows. One bad row stops nothing,
-- unless it is a whole file. Rows whose week is not in the calendar count for their file only.
with read_by_file_and_week as (
    select
        source_file,
        shop_week,
        count(*) as rows_read
    from {{ ref('stg_transactions') }}
    group by source_file, shop_week
),

rejected as (
    select
        source_file,
        shop_week,
        reject_reason,
        count(*) as rows_of_reason
    from {{ ref('rejected_rows') }}
    group by source_file, shop_week, reject_reason
),

weeks as (
    select shop_week from {{ ref('stg_weeks') }}
),

rows_read as (
    select
        source_file as part,
        true as is_file,
        sum(rows_read) as rows_read
    from read_by_file_and_week
    group by source_file
    union all
    select
        'week ' || read_by_file_and_week.shop_week as part,
        false as is_file,
        sum(read_by_file_and_week.rows_read) as rows_read
    from read_by_file_and_week
    inner join weeks on read_by_file_and_week.shop_week = weeks.shop_week
    group by read_by_file_and_week.shop_week
),

reasons as (
    select
        source_file as part,
        reject_reason,
        sum(rows_of_reason) as rows_of_reason
    from rejected
    group by source_file, reject_reason
    union all
    select
        'week ' || shop_week as part,
        reject_reason,
        sum(rows_of_reason) as rows_of_reason
    from rejected
    group by shop_week, reject_reason
),

ranked as (
    select
        part,
        reject_reason,
        rows_of_reason,
        sum(rows_of_reason) over (partition by part) as rows_rejected,
        row_number() over (
            partition by part order by rows_of_reason desc, reject_reason asc
        ) as place
    from reasons
)

select
    ranked.part || ': ' || ranked.rows_rejected || ' of ' || rows_read.rows_read
    || ' rows are rejected ('
    || round(100.0 * ranked.rows_rejected / rows_read.rows_read, 1)
    || ' %, more than the var max_rejected_share_of_file_or_week allows), '
    || ranked.rows_of_reason || ' of them for: ' || ranked.reject_reason as problem
from ranked
inner join rows_read on ranked.part = rows_read.part
where
    ranked.place = 1
    and ranked.rows_rejected
    > {{ threshold('max_rejected_share_of_file_or_week') }} * rows_read.rows_read
    and (
        ranked.rows_rejected > 1
        or (rows_read.is_file and ranked.rows_rejected = rows_read.rows_read)
    )
order by ranked.rows_rejected desc, ranked.part asc
