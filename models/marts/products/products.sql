with products as (
    select * from {{ ref('int_products') }}
),

random_weight as (
    select * from {{ ref('int_random_weight') }}
)

select
    products.product_key,
    products.product_code,
    products.product_code_10,
    products.product_code_20,
    products.product_code_30,
    products.product_code_40,
    random_weight.random_weight_basis,
    products.first_week,
    random_weight.is_random_weight,
    products.first_week > {{ var('train_last_week') }} as is_novel
from products
inner join random_weight on products.product_key = random_weight.product_key
order by products.product_key
