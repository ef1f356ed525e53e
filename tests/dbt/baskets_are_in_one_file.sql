-- Where repeated lines of a product are added up, receipts that stand in two files count twice.
{{ config(severity='warn') }}

with baskets as (
    select
        basket_id,
        min(source_file) as first_file,
        max(source_file) as last_file
    from {{ ref('stg_transactions') }}
    where
        reject_reason is null
        and set_aside_reason is null
        and {{ 'true' if layout().repeated_lines == 'add' else 'false' }}
    group by basket_id, shop_week
    having min(source_file) != max(source_file)
)

select
    count(*) || ' baskets have lines in several files, which are added up: ' || min(basket_id)
    || ' in ' || min_by(first_file, basket_id) || ' and ' || min_by(last_file, basket_id)
    || '. If a file repeats another, remove it' as problem
from baskets
having count(*) > 0
