{{ config(materialized='view') }}

-- The lines with their position: the table keeps file and line order, so the row number gives it.
-- Counting rows while reading would force the reader onto one thread.
select
    {{ row_position() }} as line_id,
    *
from {{ ref('stg_transactions') }}
