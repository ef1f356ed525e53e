-- A few bad rows are rejected and listed; many mean that something is wrong with the files. The
-- build then stops, with the most frequent reasons first.
with reasons as (
    select
        reject_reason,
        count(*) as rows_rejected
    from {{ ref('rejected_rows') }}
    group by reject_reason
),

totals as (
    select
        (select count(*) from {{ ref('stg_transactions') }}) as rows_read,
        (select count(*) from {{ ref('rejected_rows') }}) as all_rows_rejected
)

select
    reasons.reject_reason,
    reasons.rows_rejected,
    totals.rows_read
from reasons
cross join totals
where totals.all_rows_rejected > {{ var('max_rejected_share') }} * totals.rows_read
order by reasons.rows_rejected desc
