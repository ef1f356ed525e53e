{{ config(materialized='of_training') }}

-- How dear a store is: its prices against the chain's of the same product and week, from training
-- weeks. Only prices on which stores differ are compared: the others say that there is no
-- difference, and are most of what is to be sorted. A store that is missing here is as dear as the
-- chain.
with prices as (
    select
        product_key,
        store_key,
        week,
        actual_price_pence
    from {{ ref('int_shelf_prices') }}
    where
        not is_random_weight
        and actual_price_pence > 0
        and week <= {{ train_last_week() }}
),

differing as (
    select
        product_key,
        week
    from prices
    group by product_key, week
    having min(actual_price_pence) < max(actual_price_pence)
),

compared as (
    select
        prices.store_key,
        prices.actual_price_pence
        / median(prices.actual_price_pence) over (partition by prices.product_key, prices.week)
            as relative_price
    from prices
    inner join differing
        on prices.product_key = differing.product_key and prices.week = differing.week
)

select
    store_key,
    median(relative_price) as price_level
from compared
group by store_key
having count(*) >= {{ var('price_level_min_prices') }}
