-- No line is lost or counted twice between the raw files and the timelines.
with counts as (
    select
        (select count(*) from {{ ref('stg_transactions') }}) as rows_read,
        (select count(*) from {{ ref('trip_items') }}) as rows_staged,
        (select count(*) from {{ ref('rejected_rows') }}) as rows_rejected
)

select *
from counts
where rows_read != rows_staged + rows_rejected
