{{ config(materialized='by_file', post_hook='{{ enter_first_weeks() }}') }}

-- Every line, typed once as the layout says. A line that is invalid by itself gets a reject reason,
-- one that is no sale a reason to be set aside.
{% set lines = order_lines_layout() %}
{% set number = 'number (decimal ' ~ {'.': 'point', ',': 'comma'}[lines.decimal] ~ ')' %}
{% set unknown = 'null::decimal(19, 6)' %}
with raw_lines as (
    {{ raw_order_lines() }}
),

known as (
    select
        {% for column in lines.columns %}
            {{ raw_known(raw_trimmed('c' ~ loop.index0)) }} as c{{ loop.index0 }},
        {% endfor %}
        {% for name in lines.basket + [
            lines.customer, lines.product, lines.store
        ] if name %}
            coalesce({{ is_missing_word(raw_trimmed(line_column(name))) }}, false)::tinyint
            {{ '+' if not loop.last }}
        {% endfor %} as missing_words,
        source_file,
        source_line,
        line_fault,
        raw_text
    from raw_lines
),

typed as (
    select
        *,
        {{ joined_codes(lines.basket) }} as basket_id,
        {% set card = code(line_column(lines.customer)) %}
        {% if lines.no_card %}
            case when {{ is_none_of(card, lines.no_card) }} then {{ card }} end as customer_code,
        {% else %}
            {{ card }} as customer_code,
        {% endif %}
        {{ code(line_column(lines.product)) }} as product_code,
        {{ code(line_column(lines.store)) if lines.store else "'ALL'" }} as store_code,
        {{ line_stamp() }} as stamp,
        {{ amount(line_column(lines.quantity), lines.decimal) if lines.quantity else '1.0' }}
            as units,
        {{ line_amount(lines.paid) }} as paid,
        {{ line_amount(lines.regular) if lines.regular else unknown }} as regular,
        {{ line_amount(lines.coupon) if lines.coupon else unknown }} as coupon,
        {{ line_conditions(lines.weighed) if lines.weighed else 'false' }} as has_weight
    from known
),

measured as (
    select
        *,
        case when extract(year from stamp) between 1980 and 2099 then stamp::date end as shop_date,
        units != floor(units) or has_weight as is_portion,
        {{ hundredths('paid') }} as spend_pence,
        {{ hundredths('regular') }} as regular_pence,
        {{ hundredths('coupon') }} as coupon_pence,
        units < 0 or paid < 0 as is_return
    from typed
),

checked as (
    select
        *,
        case when is_portion then sign(units)::integer else try_cast(units as integer) end
            as quantity,
        case
            when line_fault is not null then line_fault
            {% for name in lines.basket + [lines.product, lines.store] if name %}
                when {{ line_column(name) }} is null then {{ sql_string(name ~ ' missing') }}
            {% endfor %}
            {% for name in lines.basket + [
                lines.customer, lines.product, lines.store
            ] + lines.categories if name %}
                when {{ lost_its_digits(line_column(name)) }}
                    then {{ sql_string(name ~ ' in scientific notation: its digits are lost') }}
            {% endfor %}
            when shop_date is null
                then {{ sql_string(
                    lines.date ~ (' or ' ~ lines.time if lines.time else '')
                    ~ ' missing or not ' ~ (
                        lines.date_format.strptime if lines.date_format else 'a date'
                    )
                ) }}
            {% if lines.quantity %}
                when units is null
                    then {{ sql_string(lines.quantity ~ ' missing or no ' ~ number) }}
                when units = 0 then {{ sql_string(lines.quantity ~ ' zero') }}
                when abs(units) > 2147483647
                    then {{ sql_string(lines.quantity ~ ' too large (at most 2147483647)') }}
            {% endif %}
            {% for key, amount in [('paid', 'spend'), ('regular', 'regular'), ('coupon', 'coupon')]
                if lines[key] %}
                {% set first = lines[key][0].columns %}
                when
                    {{ key }} is null
                    {% if key != 'paid' %}and {{ line_column(first[0]) }} is not null{% endif %}
                    then {{ sql_string(terms_text(lines[key]) ~ ' missing or no ' ~ number) }}
                when {{ key }} is not null and {{ amount }}_pence is null
                    then {{ sql_string(
                        terms_text(lines[key]) ~ ' not in whole hundredths, or above 21474836.47'
                    ) }}
                {% if key != 'paid' %}
                    when {{ key }} < 0 and not is_return
                        then {{ sql_string(terms_text(lines[key]) ~ ' negative') }}
                {% endif %}
            {% endfor %}
        end as reject_reason,
        case
            {% for reason, conditions in lines.set_aside.items() %}
                when {{ line_conditions(conditions) }} then {{ sql_string(reason) }}
            {% endfor %}
            when is_return then 'return'
        end as not_a_sale
    from measured
)

select
    basket_id,
    customer_code,
    product_code,
    store_code,
    {{ iso_week('shop_date') }}::integer as shop_week,
    shop_date,
    case when {{ line_has_time() }} then extract(hour from stamp) else 12 end::tinyint as shop_hour,
    quantity,
    spend_pence,
    regular_pence,
    coupon_pence,
    {{ 'is_portion' if lines.weighed else 'case when is_portion then true end' }} as is_weighed,
    {% for level in [1, 2, 3, 4] %}
        {{ code(line_column(lines.categories[level - 1])) }} as category_{{ level }},
    {% endfor %}
    {{ line_column(lines.customer_price_sensitivity) }} as customer_price_sensitivity,
    {{ line_column(lines.customer_lifestage) }} as customer_lifestage,
    null::string as basket_size,
    null::string as trip_price_sensitivity,
    null::string as trip_type,
    null::string as trip_focus,
    {{ line_column(lines.store_format) }} as store_format,
    {{ line_column(lines.store_region) }} as store_region,
    source_file,
    source_line,
    missing_words::tinyint as missing_words,
    false as is_simulated,
    reject_reason,
    case when reject_reason is null then not_a_sale end as set_aside_reason,
    case when reject_reason is not null or not_a_sale is not null then raw_text end as raw_text
from checked
