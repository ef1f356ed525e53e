{{ config(materialized='of_training') }}

-- Substitution clusters: products of which at least half the pairs are substitution pairs. Pairs
-- are of one sub-commodity, so clusters are found in each for itself, the strongest pair first
-- (dbt_project/substitution_clusters.py). They are numbered by their lowest product, so that the
-- numbers are the same on every run.
with pairs as (
    select
        products.category_1,
        substitutes.product_key_a,
        substitutes.product_key_b,
        row_number() over (
            order by
                substitutes.evidence desc,
                substitutes.product_key_a asc,
                substitutes.product_key_b asc
        ) as place
    from {{ ref('int_substitutes') }} as substitutes
    inner join {{ ref('int_products') }} as products
        on substitutes.product_key_a = products.product_key
),

listed as (
    select
        {{ collect_in_order('product_key_a', 'place') }} as first_products,
        {{ collect_in_order('product_key_b', 'place') }} as second_products
    from pairs
    group by category_1
),

found as (
    select
        {{ rows_of_list('substitution_clusters(first_products, second_products)') }}
            as product_keys
    from listed
),

numbered as (
    select
        product_keys,
        row_number() over (order by {{ element_of_list('product_keys', 1) }})::integer as cluster
    from found
)

select
    {{ rows_of_list('product_keys') }} as product_key,
    cluster
from numbered
