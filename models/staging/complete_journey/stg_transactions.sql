-- Every line, typed. Its prices: at the shelf (sales_value + retail_disc + coupon_match_disc) /
-- quantity, with the loyalty card (sales_value + coupon_match_disc) / quantity, paid (sales_value -
-- coupon_disc) / quantity.
-- Times are UTC; the source's weeks run from Monday to Sunday in the time of its stores.
with lines as (
    select
        *,
        {{ local_time('transaction_timestamp', layout().time_zone or 'UTC') }} as local_timestamp
    from {{ raw_table('transactions', {
        'basket_id': 'whole number', 'household_id': 'whole number', 'product_id': 'whole number',
        'store_id': 'whole number', 'transaction_timestamp': 'time', 'week': 'whole number',
        'quantity': 'whole number', 'sales_value': 'number', 'retail_disc': 'number',
        'coupon_disc': 'number', 'coupon_match_disc': 'number',
    }) }}
),

products as (
    select * from {{ raw_table('products', {
        'product_id': 'whole number', 'department': 'text', 'product_category': 'text',
        'product_type': 'text',
    }) }}
),

households as (
    select * from {{ raw_table('demographics', {
        'household_id': 'whole number', 'household_comp': 'text',
    }) }}
),

typed as (
    select
        lines.basket_id::string as basket_id,
        lines.household_id::string as customer_code,
        lines.product_id::string as product_code,
        lines.store_id::string as store_code,
        {{ iso_week('lines.local_timestamp') }}::integer as shop_week,
        lines.local_timestamp::date as shop_date,
        extract(hour from lines.local_timestamp)::tinyint as shop_hour,
        try_cast(lines.quantity as integer) as quantity,
        {{ cents('lines.sales_value + lines.coupon_match_disc') }} as spend_pence,
        {{ cents('lines.sales_value + lines.coupon_match_disc + lines.retail_disc') }}
            as regular_pence,
        {{ cents('lines.coupon_disc + lines.coupon_match_disc') }} as coupon_pence,
        -- A category's name stands in several departments, a type's in several categories.
        products.department || ' / ' || products.product_category || ' / ' || products.product_type
            as category_1,
        products.department || ' / ' || products.product_category as category_2,
        products.department as category_3,
        households.household_comp as customer_lifestage,
        coalesce(products.department = 'FUEL' or products.product_type like 'GASOLINE%', false)
            as is_fuel,
        lines.week as source_week,
        lines.quantity as source_quantity,
        lines.file_row_number + 1 as source_line
    from lines
    left join products on lines.product_id = products.product_id
    left join households on lines.household_id = households.household_id
),

-- The source numbers weeks from the one that 1 January 2017, a Sunday, ends.
checked as (
    select
        *,
        case
            when basket_id is null then 'basket_id missing'
            when product_code is null then 'product_id missing'
            when store_code is null then 'store_id missing'
            when shop_date is null then 'transaction_timestamp missing'
            when
                {{ days_between("date '2016-12-26'", 'shop_date') }} not between
                (source_week - 1) * 7 and source_week * 7 - 1
                then 'week does not match transaction_timestamp'
            when source_quantity is null then 'quantity missing'
            when source_quantity <= 0 then 'quantity not positive'
            when quantity is null then 'quantity too large (at most 2147483647)'
            when spend_pence is null or regular_pence is null or coupon_pence is null
                then 'sales_value or a discount missing or too large'
            when spend_pence < 0 then 'sales_value negative'
        end as reject_reason
    from typed
)

select
    basket_id,
    customer_code,
    product_code,
    store_code,
    shop_week,
    shop_date,
    shop_hour,
    quantity,
    spend_pence,
    regular_pence,
    coupon_pence,
    null::boolean as is_weighed,
    category_1,
    category_2,
    category_3,
    null::string as category_4,
    null::string as customer_price_sensitivity,
    customer_lifestage,
    null::string as basket_size,
    null::string as trip_price_sensitivity,
    null::string as trip_type,
    null::string as trip_focus,
    null::string as store_format,
    null::string as store_region,
    'transactions.parquet' as source_file,
    source_line,
    0::tinyint as missing_words,
    false as is_simulated,
    reject_reason,
    case when is_fuel then 'fuel' end as set_aside_reason,
    null::string as raw_text
from checked
