-- Every transactions file with what was found in it and how much of that was rejected.
with lines as (
    select * from {{ ref('stg_transactions') }}
),

read_by_file as (
    select
        source_file,
        count(*) as rows_read,
        count(case when customer_code is null and reject_reason is null then 1 end)
            as anonymous_rows,
        sum(missing_words)::bigint as missing_words,
        sum(spend_pence)::bigint as pence_read,
        min(shop_date) as first_date,
        max(shop_date) as last_date
    from lines
    group by source_file
),

set_aside_by_file as (
    select
        source_file,
        count(*) as rows_set_aside,
        sum(spend_pence)::bigint as pence_set_aside
    from {{ ref('set_aside_rows') }}
    group by source_file
),

rejected_by_file as (
    select
        source_file,
        count(*) as rows_rejected,
        sum(spend_pence)::bigint as pence_rejected
    from {{ ref('rejected_rows') }}
    group by source_file
)

select
    read_by_file.source_file,
    case
        when lower(read_by_file.source_file) like '%.parquet' then 'parquet'
        else 'csv'
    end as kind,
    read_by_file.rows_read,
    coalesce(rejected_by_file.rows_rejected, 0) as rows_rejected,
    coalesce(set_aside_by_file.rows_set_aside, 0) as rows_set_aside,
    read_by_file.anonymous_rows,
    read_by_file.missing_words,
    coalesce(read_by_file.pence_read, 0) as pence_read,
    coalesce(rejected_by_file.pence_rejected, 0) as pence_rejected,
    coalesce(set_aside_by_file.pence_set_aside, 0) as pence_set_aside,
    read_by_file.first_date,
    read_by_file.last_date
from read_by_file
left join rejected_by_file on read_by_file.source_file = rejected_by_file.source_file
left join set_aside_by_file on read_by_file.source_file = set_aside_by_file.source_file
order by read_by_file.source_file
