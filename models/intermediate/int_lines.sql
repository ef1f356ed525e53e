{{ config(materialized='view') }}

-- The lines with their position in the table, which is that of the files where staging does not
-- number them.
-- Counting rows while reading would force the reader onto one thread.
select
    {{ row_position() }} as line_id,
    *
from {{ ref('stg_transactions') }}
