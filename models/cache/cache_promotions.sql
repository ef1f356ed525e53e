-- Display and mailer of products that the training weeks say enough of to be priced. One layout
-- knows them; with any other this is empty.
{% if layout_name() == 'complete_journey' -%}
with promotions as (
    select * from {{ ref('promotions') }}
),

products as (
    select items.product_key
    from {{ ref('trip_items') }} as items
    inner join {{ ref('weeks') }} as weeks on items.week = weeks.week
    where weeks.split = 'train'
    group by items.product_key
    having count(*) >= {{ var('promotions_min_trips') }}
)

select
    promotions.product_key,
    promotions.store_key,
    promotions.week,
    coalesce(ascii(promotions.display_location), 0)::smallint as display,
    coalesce(ascii(promotions.mailer_location), 0)::smallint as mailer
from promotions
inner join products on promotions.product_key = products.product_key
{%- else -%}
    select
        0 as product_key,
        0 as store_key,
        0::smallint as week,
        0::smallint as display,
        0::smallint as mailer
    where false
{%- endif %}
