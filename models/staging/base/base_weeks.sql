{{ config(materialized='view') }}

{{ raw_weeks(source('raw', 'time')) }}
