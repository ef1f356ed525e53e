-- Every line read, typed once. A line that is invalid by itself gets a reject reason;
-- what depends on other lines or the calendar is decided in int_baskets and int_items.
-- Rows must stay in file and line order, from which line numbers are counted, so there must be no
-- join here.
with raw_lines as (
    select * from {{ ref('base_transactions') }}
),

typed as (
    select
        {{ whole_number('basket_id', 'bigint') }} as basket_id,
        cust_code as customer_code,
        prod_code as product_code,
        store_code,
        {{ whole_number('shop_week', 'integer') }} as shop_week,
        {{ calendar_date('shop_date') }} as shop_date,
        {{ whole_number('shop_weekday', 'tinyint') }} as shop_weekday,
        {{ whole_number('shop_hour', 'tinyint') }} as shop_hour,
        {{ whole_number('quantity', 'integer') }} as quantity,
        {{ pence('spend') }} as spend_pence,
        prod_code_10 as product_code_10,
        prod_code_20 as product_code_20,
        prod_code_30 as product_code_30,
        prod_code_40 as product_code_40,
        seg_1 as customer_price_sensitivity,
        seg_2 as customer_lifestage,
        coalesce(basket_size, 'XX') as basket_size,
        coalesce(basket_price_sensitivity, 'XX') as basket_price_sensitivity,
        coalesce(basket_type, 'XX') as basket_type,
        coalesce(basket_dominant_mission, 'XX') as basket_dominant_mission,
        store_format,
        store_region,
        source_file,
        field_count,
        expected_field_count,
        raw_text
    from raw_lines
),

checked as (
    select
        *,
        case
            when field_count is null then 'blank line'
            when field_count != expected_field_count then 'wrong number of fields'
            when basket_id is null then 'basket_id missing or not a whole number'
            when product_code is null then 'prod_code missing'
            when store_code is null then 'store_code missing'
            when shop_week is null then 'shop_week missing or not a whole number'
            when shop_date is null then 'shop_date missing or not a date'
            when shop_hour is null or shop_hour not between 0 and 23
                then 'shop_hour missing or not 0 to 23'
            when shop_weekday is null or shop_weekday != {{ weekday('shop_date') }}
                then 'shop_weekday does not match shop_date'
            when quantity is null then 'quantity missing or not a whole number'
            when quantity <= 0 then 'quantity not positive'
            when spend_pence is null then 'spend missing or not in whole pence'
            when spend_pence < 0 then 'spend negative'
            when
                product_code_10 is null or product_code_20 is null
                or product_code_30 is null or product_code_40 is null
                then 'product hierarchy incomplete'
            when store_format is null or store_region is null
                then 'store_format or store_region missing'
            when {{ is_none_of('basket_size', ['S', 'M', 'L', 'XX']) }}
                then 'basket_size unknown'
            when {{ is_none_of('basket_price_sensitivity', ['LA', 'MM', 'UM', 'XX']) }}
                then 'basket_price_sensitivity unknown'
            when {{ is_none_of('basket_type', ['Small Shop', 'Top Up', 'Full Shop', 'XX']) }}
                then 'basket_type unknown'
            when
                {{ is_none_of(
                    'basket_dominant_mission', ['Fresh', 'Grocery', 'Mixed', 'Nonfood', 'XX']
                ) }}
                then 'basket_dominant_mission unknown'
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
    shop_weekday,
    shop_hour,
    quantity,
    spend_pence,
    product_code_10,
    product_code_20,
    product_code_30,
    product_code_40,
    customer_price_sensitivity,
    customer_lifestage,
    basket_size,
    basket_price_sensitivity,
    basket_type,
    basket_dominant_mission,
    store_format,
    store_region,
    source_file,
    reject_reason,
    case when reject_reason is not null then raw_text end as raw_text
from checked
