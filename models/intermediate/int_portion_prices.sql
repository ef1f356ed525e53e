{{ config(materialized='of_training') }}

-- What a portion of a product sold by weight costs: the median of the training weeks; and, where
-- product_key is null, that of all such products of a sub-commodity.
with sales as (
    select
        items.product_key,
        products.category_1,
        items.spend_pence / items.quantity as price_pence
    from {{ ref('int_items') }} as items
    inner join {{ ref('int_products') }} as products on items.product_key = products.product_key
    inner join {{ ref('int_random_weight') }} as random_weight
        on items.product_key = random_weight.product_key
    where random_weight.is_random_weight and items.week <= {{ train_last_week() }}
)

select
    category_1,
    product_key,
    median(price_pence) as price_pence
from sales
group by category_1, product_key
union all
select
    category_1,
    null as product_key,
    median(price_pence) as price_pence
from sales
group by category_1
