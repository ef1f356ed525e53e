{{ config(materialized='view') }}

{{ raw_transactions(source('raw', 'transactions')) }}
