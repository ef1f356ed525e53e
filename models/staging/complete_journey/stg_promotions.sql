{{ config(materialized='view') }}

-- A view: its rows are read once, by the mart.
select
    product_id::string as product_code,
    store_id::string as store_code,
    {{ iso_week("date '2016-12-26' + ((week - 1) * 7)::integer") }}::integer as shop_week,
    display_location,
    mailer_location
from {{ raw_table('promotions', {
    'product_id': 'whole number', 'store_id': 'whole number', 'week': 'whole number',
    'display_location': 'text', 'mailer_location': 'text',
}) }}
