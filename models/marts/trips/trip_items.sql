{{ config(materialized='weekly') }}

with items as (
    select * from {{ ref('int_items') }}
),

products as (
    select
        product_key,
        is_novel
    from {{ ref('products') }}
)

select
    items.trip_key,
    items.product_key,
    items.week,
    items.quantity,
    items.spend_pence,
    products.is_novel as is_novel_product
from items
inner join products on items.product_key = products.product_key
order by items.trip_key, items.product_key
