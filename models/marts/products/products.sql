with products as (
    select * from {{ ref('int_products') }}
),

random_weight as (
    select * from {{ ref('int_random_weight') }}
)

select
    products.product_key,
    products.product_code,
    products.category_1,
    products.category_2,
    products.category_3,
    products.category_4,
    random_weight.random_weight_basis,
    products.first_week,
    random_weight.is_random_weight,
    products.first_week > {{ train_last_week() }} as is_novel
from products
inner join random_weight on products.product_key = random_weight.product_key
order by products.product_key
