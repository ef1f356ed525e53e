{{ config(materialized='weekly', meta={'few_rows': true}) }}

-- What the chain charged for a product in a week: the median and the lowest of its prices, each as
-- if its store were as dear as the chain. Nothing that is sold by weight.
with shelf_prices as (
    select
        shelf_prices.product_key,
        shelf_prices.week,
        shelf_prices.actual_price_pence / coalesce(levels.price_level, 1e0) as price_pence
    from {{ ref('int_shelf_prices') }} as shelf_prices
    left join {{ ref('int_store_price_levels') }} as levels
        on shelf_prices.store_key = levels.store_key
    where
        not shelf_prices.is_random_weight
        and shelf_prices.actual_price_pence > 0
        and {{ changed_since('shelf_prices.week') }}
),

weeks as (
    select
        product_key,
        week,
        min(price_pence) as lowest_price_pence,
        max(price_pence) as highest_price_pence
    from shelf_prices
    group by product_key, week
),

-- A median over equal prices is that price: only the weeks with several are sorted.
medians as (
    select
        shelf_prices.product_key,
        shelf_prices.week,
        median(shelf_prices.price_pence) as price_pence
    from shelf_prices
    inner join weeks
        on shelf_prices.product_key = weeks.product_key and shelf_prices.week = weeks.week
    where weeks.lowest_price_pence < weeks.highest_price_pence
    group by shelf_prices.product_key, shelf_prices.week
)

select
    weeks.product_key,
    weeks.week,
    weeks.lowest_price_pence,
    coalesce(medians.price_pence, weeks.lowest_price_pence) as price_pence
from weeks
left join medians
    on weeks.product_key = medians.product_key and weeks.week = medians.week
