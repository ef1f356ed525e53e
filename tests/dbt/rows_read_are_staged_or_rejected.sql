-- No line is lost or counted twice between the raw files and the timelines.
with counts as (
    select
        (select count(*) from {{ ref('stg_transactions') }}) as rows_read,
        (
            select {{ 'sum(line_count)' if layout().repeated_lines == 'add' else 'count(*)' }}
            from {{ ref('int_items') }}
        ) as rows_staged,
        (select count(*) from {{ ref('rejected_rows') }}) as rows_rejected,
        (select count(*) from {{ ref('set_aside_rows') }}) as rows_set_aside
)

select *
from counts
where rows_read != coalesce(rows_staged, 0) + rows_rejected + rows_set_aside
