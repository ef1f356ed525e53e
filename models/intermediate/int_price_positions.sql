{{ config(materialized='of_training') }}

-- Where a product stands by price among the training sales of its category, from 0 to 1, for trips
-- whose source has no kinds; one first sold later stands nowhere.
with sales as (
    select
        items.product_key,
        count(*) as sales,
        sum(items.spend_pence) / sum(items.quantity) as price
    from {{ ref('int_items') }} as items
    inner join {{ ref('int_baskets') }} as trips on items.trip_key = trips.trip_key
    where
        trips.reject_reason is null
        and trips.basket_size is null
        and items.week <= {{ train_last_week() }}
    group by items.product_key
)

select
    sales.product_key,
    (
        sum(sales.sales) over (partition by products.category_1 order by sales.price)
        - sum(sales.sales) over (partition by products.category_1, sales.price) / 2
    ) / sum(sales.sales) over (partition by products.category_1) as price_position
from sales
inner join {{ ref('int_products') }} as products on sales.product_key = products.product_key
