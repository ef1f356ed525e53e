select
    product_key,
    store_key,
    median(actual_price_pence) as price_pence,
    count(*)::integer as weeks
from {{ ref('prices') }}
where week <= {{ var('train_last_week') }}
group by product_key, store_key
