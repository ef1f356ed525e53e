-- No penny is lost either; spend that cannot be read is null, and left out on both sides.
with totals as (
    select
        (select coalesce(sum(spend_pence), 0) from {{ ref('stg_transactions') }}) as pence_read,
        (select coalesce(sum(spend_pence), 0) from {{ ref('trip_items') }}) as pence_staged,
        (select coalesce(sum(spend_pence), 0) from {{ ref('rejected_rows') }}) as pence_rejected,
        (
            select coalesce(sum(spend_pence), 0) from {{ ref('set_aside_rows') }}
        ) as pence_set_aside
)

select *
from totals
where pence_read != pence_staged + pence_rejected + pence_set_aside
