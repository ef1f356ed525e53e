-- Anonymous receipts make prices and a product graph, but no timelines.
{{ config(severity='warn') }}

select
    'none of ' || count(*) || ' trips is of a known customer (all customer codes are empty):'
    || ' a model needs the trips of customers' as problem
from {{ ref('int_trips') }}
having count(*) > 0 and count(customer_key) = 0
