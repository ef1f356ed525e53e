{{ config(materialized='weekly', meta={'by': 'first_week', 'few_rows': true}) }}

-- The hierarchy is that of the product's first sale: for earlier weeks, a later change would be
-- the future. Grouping by the hierarchy first leaves a few rows per product to choose from.
with lines as (
    select * from {{ ref('int_lines') }}
    where reject_reason is null and set_aside_reason is null and {{ changed_since('shop_week') }}
),

-- What a weekly build keeps.
earlier as (
    select * from {{ kept_rows(
        {'product_key': 'integer', 'product_code': 'string'}, by='first_week'
    ) }}
),

trips as (
    select * from {{ ref('int_baskets') }}
    where reject_reason is null and {{ changed_since('week') }}
),

hierarchies as (
    select
        lines.product_code,
        lines.category_1,
        lines.category_2,
        lines.category_3,
        lines.category_4,
        min(trips.trip_key) as first_trip_key,
        min(trips.week) as first_week
    from lines
    inner join trips on lines.basket_id = trips.basket_id and lines.shop_week = trips.shop_week
    left join earlier on lines.product_code = earlier.product_code
    where earlier.product_code is null
    group by all
),

first_hierarchies as (
    select *
    from hierarchies
    qualify row_number() over (
        partition by product_code
        -- Two lines of one basket may disagree: ordering by codes makes the choice unique.
        order by first_trip_key, category_1, category_2, category_3, category_4
    ) = 1
)

-- A level that the source lacks is as the next finer one, the finest as the next coarser.
select
    (
        (select coalesce(max(earlier.product_key), 0) from earlier)
        + row_number() over (order by first_week, product_code)
    )::integer as product_key,
    product_code,
    coalesce(category_1, category_2, category_3, category_4, 'UNKNOWN') as category_1,
    coalesce(category_2, category_1, category_3, category_4, 'UNKNOWN') as category_2,
    coalesce(category_3, category_2, category_1, category_4, 'UNKNOWN') as category_3,
    coalesce(category_4, category_3, category_2, category_1, 'UNKNOWN') as category_4,
    first_week::smallint as first_week
from first_hierarchies
