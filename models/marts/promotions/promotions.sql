-- A product that stands twice in a store and week, in two places, has the first of each in the
-- order of codes. Codes are one character; as numbers they are grouped in half the time.
with places as (
    select
        products.product_key,
        stores.store_key,
        weeks.week,
        min(ascii(nullif(promotions.display_location, '0'))::smallint) as display_code,
        min(ascii(nullif(promotions.mailer_location, '0'))::smallint) as mailer_code
    from {{ ref('stg_promotions') }} as promotions
    inner join {{ ref('int_products') }} as products
        on promotions.product_code = products.product_code
    inner join {{ ref('int_stores') }} as stores on promotions.store_code = stores.store_code
    inner join {{ ref('stg_weeks') }} as weeks on promotions.shop_week = weeks.shop_week
    group by products.product_key, stores.store_key, weeks.week
)

select
    product_key,
    store_key,
    week,
    chr(display_code) as display_location,
    chr(mailer_code) as mailer_location
from places
