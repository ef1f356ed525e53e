{{ config(materialized='weekly') }}

select
    prices.product_key,
    stores.store_region,
    prices.week,
    median(prices.actual_price_pence) as price_pence,
    count(*)::integer as stores
from {{ ref('prices') }} as prices
inner join {{ ref('stores') }} as stores on prices.store_key = stores.store_key
group by prices.product_key, stores.store_region, prices.week
