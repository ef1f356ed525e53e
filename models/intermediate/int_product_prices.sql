{{ config(materialized='of_training') }}

-- The usual price of each product sold in the training weeks, over all stores.
select
    product_key,
    median(actual_price_pence) as price_pence
from {{ ref('int_shelf_prices') }}
where week <= {{ train_last_week() }}
group by product_key
