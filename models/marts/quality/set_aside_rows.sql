-- Intact lines that are no sale of merchandise, with the reason: fuel, returns and the like.
select
    source_file,
    source_line,
    set_aside_reason,
    shop_week,
    shop_date,
    store_code,
    basket_id,
    customer_code,
    product_code,
    quantity,
    spend_pence
from {{ ref('int_lines') }}
where reject_reason is null and set_aside_reason is not null
order by source_file, source_line
