-- Rows and pence of every raw file, counted in the file's own types, are those of its staged lines,
-- rejected ones included. Of a CSV file only pence are counted. A weekly build counts new files.
{% set new = new_files() %}
with files as (
    {{ raw_totals() }}
),

staged as (
    select
        source_file,
        count(*) as rows_staged,
        sum(spend_pence) as pence_staged
    from {{ ref('stg_transactions') }}
    where {{ is_one_of_files(new) if new else 'true' }}
    group by source_file
)

select
    coalesce(files.source_file, staged.source_file) || ' holds '
    || coalesce(files.rows_in_file || ' rows and ', '') || coalesce(files.pence_in_file, 0)
    || ' pence, but ' || coalesce(staged.rows_staged, 0) || ' rows and '
    || coalesce(staged.pence_staged, 0) || ' pence are staged. If files have changed since they'
    || ' were read: dbt build --select stg_transactions+' as problem
from files
full outer join staged on files.source_file = staged.source_file
where
    files.rows_in_file != coalesce(staged.rows_staged, 0)
    or coalesce(files.pence_in_file, 0) != coalesce(staged.pence_staged, 0)
