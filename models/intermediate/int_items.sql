-- The fact table: accepted lines with integer keys. Of several lines of one basket for one product
-- the first in file order is kept; the others go to rejected_rows.
with lines as (
    select * from {{ ref('int_lines') }}
    where reject_reason is null
),

trips as (
    select * from {{ ref('int_baskets') }}
    where reject_reason is null
),

products as (
    select * from {{ ref('int_products') }}
)

select
    trips.trip_key,
    products.product_key,
    trips.week,
    min_by(lines.quantity, lines.line_id) as quantity,
    min_by(lines.spend_pence, lines.line_id) as spend_pence,
    min(lines.line_id) as line_id,
    count(*) as line_count
from lines
inner join trips on lines.basket_id = trips.basket_id and lines.shop_week = trips.shop_week
inner join products on lines.product_code = products.product_code
group by trips.trip_key, products.product_key, trips.week
order by trips.trip_key, products.product_key
