{{ config(materialized='view') }}

-- The lines with their position among all.
{{ with_line_id(ref('stg_transactions')) }}
