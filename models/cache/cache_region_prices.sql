-- What a product costs where no item says so. A region is told by its store with the lowest key: a
-- number is a tenth of the text to sort and read, and its label is that of the store.
with prices as (
    select * from {{ ref('price_fallbacks_region') }}
),

regions as (
    select
        store_region,
        min(store_key) as store_key
    from {{ ref('stores') }}
    group by store_region
)

select
    prices.product_key,
    prices.store_region,
    regions.store_key as region_store_key,
    prices.week,
    prices.price_pence::float as pence
from prices
inner join regions on prices.store_region = regions.store_region
