-- A few bad rows are rejected and listed; many mean that something is wrong with the files.
with reasons as (
    select
        reject_reason,
        count(*) as rows_of_reason
    from {{ ref('rejected_rows') }}
    group by reject_reason
),

totals as (
    select
        (select count(*) from {{ ref('stg_transactions') }}) as rows_read,
        (select count(*) from {{ ref('rejected_rows') }}) as rows_rejected
)

select
    totals.rows_rejected || ' of ' || totals.rows_read || ' rows are rejected ('
    || round(100.0 * totals.rows_rejected / totals.rows_read, 1)
    || ' %, more than the var max_rejected_share allows), '
    || reasons.rows_of_reason || ' of them for: ' || reasons.reject_reason as problem
from reasons
cross join totals
where totals.rows_rejected > {{ threshold('max_rejected_share') }} * totals.rows_read
order by reasons.rows_of_reason desc, reasons.reject_reason asc
