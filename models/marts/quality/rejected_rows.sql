{{ config(materialized='weekly', meta={'by': 'shop_week', 'of_lines': true, 'few_rows': true}) }}

-- Every line read that is neither in trip_items nor set aside, with its place in the files and the
-- reason.
-- A line has one reason: its own first, then its basket's, then that it repeats an earlier line.
with lines as (
    select * from {{ ref('int_lines') }}
    where {{ changed_since('shop_week') }} or shop_week is null
),

baskets as (
    select * from {{ ref('int_baskets') }}
    where {{ changed_since('shop_week') }}
),

-- Few, and quickly joined to all lines.
rejected_baskets as (
    select * from baskets
    where reject_reason is not null
),

repeated as (
    select
        baskets.basket_id,
        baskets.shop_week,
        products.product_code,
        items.line_id as kept_line_id
    from {{ ref('int_items') }} as items
    inner join {{ ref('int_products') }} as products on items.product_key = products.product_key
    inner join baskets on items.trip_key = baskets.trip_key
    -- Elsewhere they are added up.
    where
        items.line_count > 1
        and {{ changed_since('items.week') }}
        and {{ 'true' if layout().repeated_lines == 'reject' else 'false' }}
),

-- Where staging does not number them, lines are stored in file order, so a line's number is its
-- distance from the file's first row.
-- CSV counts the header as line 1; Parquet has none.
files as (
    select
        source_file,
        min(line_id) - case when lower(source_file) like '%.parquet' then 1 else 2 end as offset_id
    from {{ ref('int_lines') }}
    where source_line is null
    group by source_file
),

reasons as (
    select
        lines.line_id,
        coalesce(
            lines.reject_reason,
            baskets.reject_reason,
            case
                when lines.line_id > repeated.kept_line_id then 'duplicate of basket and product'
            end
        ) as reject_reason
    from lines
    left join rejected_baskets as baskets
        on
            lines.basket_id = baskets.basket_id
            and lines.shop_week = baskets.shop_week
            and lines.reject_reason is null and lines.set_aside_reason is null
    left join repeated
        on
            lines.basket_id = repeated.basket_id
            and lines.shop_week = repeated.shop_week
            and lines.product_code = repeated.product_code
            and lines.reject_reason is null and lines.set_aside_reason is null
)

select
    lines.source_file,
    coalesce(lines.source_line, lines.line_id - files.offset_id)::bigint as source_line,
    reasons.reject_reason,
    lines.shop_week,
    lines.basket_id,
    lines.spend_pence,
    coalesce(
        lines.raw_text,
        {{ json_object({
            'shop_week': 'lines.shop_week',
            'shop_date': 'lines.shop_date',
            'shop_hour': 'lines.shop_hour',
            'quantity': 'lines.quantity',
            'spend_pence': 'lines.spend_pence',
            'product_code': 'lines.product_code',
            'customer_code': 'lines.customer_code',
            'basket_id': 'lines.basket_id',
            'store_code': 'lines.store_code',
        }) }}
    ) as row_content
from reasons
inner join lines on reasons.line_id = lines.line_id
left join files on lines.source_file = files.source_file
where reasons.reject_reason is not null
order by lines.source_file, source_line
