select
    offers.campaign_code,
    products.product_key,
    offers.campaign_type,
    offers.first_date,
    offers.last_date,
    offers.coupons
from {{ ref('stg_coupon_offers') }} as offers
inner join {{ ref('int_products') }} as products on offers.product_code = products.product_code
order by offers.campaign_code, products.product_key
