-- Always an answer: products that the training weeks lack take their category's price, from the
-- finest level that has one.
with products as (
    select * from {{ ref('products') }}
),

prices as (
    select
        product_key,
        actual_price_pence
    from {{ ref('prices') }}
    where week <= {{ var('train_last_week') }}
),

own as (
    select
        product_key,
        median(actual_price_pence) as price_pence
    from prices
    group by product_key
),

-- The median over products, so that a bestseller does not stand for its category.
{% for level in ['10', '20', '30', '40'] %}
    category_{{ level }} as (
        select
            products.product_code_{{ level }},
            median(own.price_pence) as price_pence
        from own
        inner join products on own.product_key = products.product_key
        group by products.product_code_{{ level }}
    ),
{% endfor %}

chain as (
    select median(price_pence) as price_pence
    from own
)

select
    products.product_key,
    case
        when own.price_pence is not null then 'product'
        {% for level in ['10', '20', '30', '40'] %}
            when category_{{ level }}.price_pence is not null then 'prod_code_{{ level }}'
        {% endfor %}
        else 'chain'
    end as price_basis,
    coalesce(
        own.price_pence,
        {% for level in ['10', '20', '30', '40'] %}category_{{ level }}.price_pence,
        {% endfor %}
        chain.price_pence
    ) as price_pence
from products
left join own on products.product_key = own.product_key
{% for level in ['10', '20', '30', '40'] %}
    left join category_{{ level }}
        on products.product_code_{{ level }} = category_{{ level }}.product_code_{{ level }}
{% endfor %}
cross join chain
order by products.product_key
