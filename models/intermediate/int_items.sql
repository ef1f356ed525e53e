{{ config(materialized='weekly') }}

-- The fact table: accepted lines with integer keys. Several lines of one basket for one product are
-- added up, or, where the layout says so, all but the first in file order go to rejected_rows.
{% set measures = ['quantity', 'spend_pence', 'regular_pence', 'coupon_pence'] %}
with lines as (
    select * from {{ ref('int_lines') }}
    where reject_reason is null and set_aside_reason is null and {{ changed_since('shop_week') }}
),

trips as (
    select * from {{ ref('int_baskets') }}
    where reject_reason is null and {{ changed_since('week') }}
),

products as (
    select * from {{ ref('int_products') }}
)

select
    trips.trip_key,
    products.product_key,
    trips.week,
    {% for measure in measures %}
        {% if layout().repeated_lines == 'add' %}
            case
                when count(lines.{{ measure }}) = count(*) then sum(lines.{{ measure }})
            end::integer as {{ measure }},
        {% else %}
            -- Where the first line has none, that of another must not stand in.
            nullif(min_by(coalesce(lines.{{ measure }}, -1), lines.line_id), -1) as {{ measure }},
        {% endif %}
    {% endfor %}
    bool_or(lines.is_weighed) as is_weighed,
    min(lines.line_id) as line_id,
    count(*) as line_count
from lines
inner join trips on lines.basket_id = trips.basket_id and lines.shop_week = trips.shop_week
inner join products on lines.product_code = products.product_code
group by trips.trip_key, products.product_key, trips.week
order by trips.trip_key, products.product_key
