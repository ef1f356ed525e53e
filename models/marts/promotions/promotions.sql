-- A product that stands twice in a store and week, in two places, has the first of each in code order.
select
    products.product_key,
    stores.store_key,
    weeks.week,
    min(nullif(promotions.display_location, '0')) as display_location,
    min(nullif(promotions.mailer_location, '0')) as mailer_location
from {{ ref('stg_promotions') }} as promotions
inner join {{ ref('int_products') }} as products on promotions.product_code = products.product_code
inner join {{ ref('int_stores') }} as stores on promotions.store_code = stores.store_code
inner join {{ ref('stg_weeks') }} as weeks on promotions.shop_week = weeks.shop_week
group by products.product_key, stores.store_key, weeks.week
