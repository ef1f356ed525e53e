{{ config(materialized='by_file', post_hook='{{ enter_first_weeks() }}') }}

-- Every line read, typed once. A line that is invalid by itself gets a reject reason;
-- what depends on other lines or the calendar is decided in int_baskets and int_items.
-- On DuckDB rows must stay in file and line order, from which line numbers are counted, so there
-- must be no join here.
with raw_lines as (
    {{ raw_transactions() }}
),

typed as (
    select
        {{ code('basket_id') }} as basket_id,
        {{ code('cust_code') }} as customer_code,
        {{ code('prod_code') }} as product_code,
        {{ code('store_code') }} as store_code,
        {{ whole_number('shop_week', 'integer') }} as shop_week,
        {{ calendar_date('shop_date') }} as shop_date,
        {{ whole_number('shop_weekday', 'tinyint') }} as shop_weekday,
        {{ whole_number('shop_hour', 'tinyint') }} as shop_hour,
        {{ whole_number('quantity', 'integer') }} as quantity,
        {{ pence('spend') }} as spend_pence,
        {{ code('prod_code_10') }} as category_1,
        {{ code('prod_code_20') }} as category_2,
        {{ code('prod_code_30') }} as category_3,
        {{ code('prod_code_40') }} as category_4,
        {{ code('seg_1') }} as customer_price_sensitivity,
        {{ code('seg_2') }} as customer_lifestage,
        coalesce(basket_size, 'XX') as basket_size,
        coalesce(basket_price_sensitivity, 'XX') as trip_price_sensitivity,
        coalesce(basket_type, 'XX') as trip_type,
        coalesce(basket_dominant_mission, 'XX') as trip_focus,
        {{ code('store_format') }} as store_format,
        {{ code('store_region') }} as store_region,
        -- What does not fit its type is told from what is no number.
        shop_week as shop_week_text,
        quantity as quantity_text,
        spend as spend_text,
        source_file,
        source_line,
        line_fault,
        missing_words,
        raw_text
    from raw_lines
),

checked as (
    select
        *,
        case
            when line_fault is not null then line_fault
            {% for column, name in [
                ('basket_id', 'basket_id'), ('product_code', 'prod_code'), ('store_code', 'store_code')
            ] %}
                when {{ column }} is null then '{{ name }} missing'
                when {{ lost_its_digits(column) }}
                    then '{{ name }} in scientific notation: its digits are lost'
            {% endfor %}
            when {{ lost_its_digits('customer_code') }}
                then 'cust_code in scientific notation: its digits are lost'
            when shop_week is null and {{ is_whole_number('shop_week_text') }}
                then 'shop_week too large (at most 2147483647)'
            when shop_week is null then 'shop_week missing or not a whole number'
            when shop_date is null then 'shop_date missing or not a date'
            when shop_hour is null or shop_hour not between 0 and 23
                then 'shop_hour missing or not 0 to 23'
            when shop_weekday is null or shop_weekday != {{ weekday('shop_date') }}
                then 'shop_weekday does not match shop_date'
            when quantity is null and not coalesce({{ is_whole_number('quantity_text') }}, false)
                then 'quantity missing or not a whole number'
            when quantity <= 0 or quantity is null and quantity_text like '-%'
                then 'quantity not positive'
            when quantity is null then 'quantity too large (at most 2147483647)'
            when spend_pence is null and not coalesce({{ is_pounds('spend_text') }}, false)
                then 'spend missing or not in whole pence'
            when spend_pence < 0 or spend_pence is null and spend_text like '-%'
                then 'spend negative'
            when spend_pence is null then 'spend too large (at most 21474836.47)'
            when
                category_1 is null or category_2 is null
                or category_3 is null or category_4 is null
                then 'product hierarchy incomplete'
            {% for level in [1, 2, 3, 4] %}
                when {{ lost_its_digits('category_' ~ level) }}
                    then 'prod_code_{{ level }}0 in scientific notation: its digits are lost'
            {% endfor %}
            when store_format is null or store_region is null
                then 'store_format or store_region missing'
            when {{ is_none_of('basket_size', ['S', 'M', 'L', 'XX']) }}
                then 'basket_size unknown'
            when {{ is_none_of('trip_price_sensitivity', ['LA', 'MM', 'UM', 'XX']) }}
                then 'basket_price_sensitivity unknown'
            when {{ is_none_of('trip_type', ['Small Shop', 'Top Up', 'Full Shop', 'XX']) }}
                then 'basket_type unknown'
            when
                {{ is_none_of(
                    'trip_focus', ['Fresh', 'Grocery', 'Mixed', 'Nonfood', 'XX']
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
    shop_hour,
    quantity,
    spend_pence,
    null::integer as regular_pence,
    null::integer as coupon_pence,
    null::boolean as is_weighed,
    category_1,
    category_2,
    category_3,
    category_4,
    customer_price_sensitivity,
    customer_lifestage,
    basket_size,
    trip_price_sensitivity,
    trip_type,
    trip_focus,
    store_format,
    store_region,
    source_file,
    source_line,
    missing_words,
    -- Simulated baskets are known by their ids (simulator/lgsr.py). The quick test comes first.
    coalesce(
        basket_id like 'SIM%' and {{ matches('basket_id', 'SIM[0-9]+-[0-9]+') }}, false
    ) as is_simulated,
    reject_reason,
    null::string as set_aside_reason,
    case when reject_reason is not null then raw_text end as raw_text
from checked
