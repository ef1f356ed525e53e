-- Products come first and keep their keys; categories follow, coarser levels last.
with products as (
    select * from {{ ref('int_products') }}
),

categories as (
    {% for level in [1, 2, 3, 4] %}
        select
            {{ loop.index }} as level_rank,
            'category_{{ level }}' as level,
            category_{{ level }} as code
        from products
        group by category_{{ level }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

product_count as (
    select count(*) as products
    from products
)

select
    product_key as node_key,
    'product' as level,
    product_code as code
from products
union all
select
    (
        product_count.products
        + row_number() over (order by categories.level_rank, categories.code)
    )::integer as node_key,
    categories.level,
    categories.code
from categories
cross join product_count
order by node_key
