-- Every product has a price: one without a sale in the training weeks has its category's, from the
-- finest level that has one.
{% set levels = [1, 2, 3, 4] %}
with products as (
    select * from {{ ref('products') }}
),

training as (
    select * from {{ ref('int_product_prices') }}
),

-- The median over products, so that a bestseller does not decide its category's price.
{% for level in levels %}
    prices_{{ level }} as (
        select
            products.category_{{ level }},
            median(training.price_pence) as price_pence
        from training
        inner join products on training.product_key = products.product_key
        group by products.category_{{ level }}
    ),
{% endfor %}

chain as (
    select median(price_pence) as price_pence
    from training
),

priced as (
    select
        products.product_key,
        training.price_pence as product_price_pence,
        case
            {% for level in levels %}
                when prices_{{ level }}.price_pence is not null then 'category_{{ level }}'
            {% endfor %}
            else 'chain'
        end as category_basis,
        coalesce(
            {% for level in levels %}prices_{{ level }}.price_pence,
            {% endfor %}
            chain.price_pence
        ) as category_price_pence
    from products
    left join training on products.product_key = training.product_key
    {% for level in levels %}
        left join prices_{{ level }}
            on products.category_{{ level }} = prices_{{ level }}.category_{{ level }}
    {% endfor %}
    cross join chain
)

select
    product_key,
    case when product_price_pence is not null then 'product' else category_basis end as price_basis,
    coalesce(product_price_pence, category_price_pence) as price_pence,
    category_price_pence
from priced
order by product_key
