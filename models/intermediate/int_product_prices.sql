{{ config(materialized='of_training') }}

-- The usual price of each product sold in the training weeks, over all stores, and how much its
-- price of a week, the median over stores, varies: standard deviation over mean.
with shelf_prices as (
    select
        product_key,
        week,
        actual_price_pence
    from {{ ref('int_shelf_prices') }}
    where week <= {{ train_last_week() }}
),

usual as (
    select
        product_key,
        median(actual_price_pence) as price_pence
    from shelf_prices
    group by product_key
),

weekly as (
    select
        product_key,
        week,
        round(median(actual_price_pence) * 100)::bigint as exact_price
    from shelf_prices
    group by product_key, week
),

variations as (
    select
        product_key,
        {{ spread(
            'count(*)',
            'sum(exact_price::' ~ wide_integer() ~ ')',
            'sum(exact_price::' ~ wide_integer() ~ ' * exact_price)',
            1
        ) }} * count(*) / nullif(sum(exact_price), 0) as price_variation
    from weekly
    group by product_key
)

select
    usual.product_key,
    usual.price_pence,
    variations.price_variation
from usual
inner join variations on usual.product_key = variations.product_key
