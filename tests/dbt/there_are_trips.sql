-- Files with headers only, or with nothing but rejected rows, must not be taken for a chain without
-- trips.
with counts as (
    select
        (select count(*) from {{ ref('stg_transactions') }}) as rows_read,
        (select count(*) from {{ ref('int_trips') }}) as trips
)

select
    case
        when rows_read = 0
            then 'the files of receipts hold headers and no rows'
        else 'all ' || rows_read || ' rows are rejected: see the table rejected_rows'
    end as problem
from counts
where trips = 0
