-- Anonymous receipts make prices and a product graph, but no timelines.
{{ config(severity='warn') }}

select
    'none of ' || count(*) || ' trips is of a known customer (CUST_CODE is empty throughout):'
    || ' a model needs the trips of customers' as problem
from {{ ref('int_trips') }}
having count(*) > 0 and count(customer_key) = 0
