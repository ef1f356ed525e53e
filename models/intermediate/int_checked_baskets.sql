{{ config(materialized='weekly', meta={'by': 'shop_week'}) }}

-- One row per basket id and week with at least one readable line: what its lines agree on, or why
-- it is rejected as a whole. Everything about a basket must be the same on all its lines. The week
-- is a part of a basket's identity, so that a later basket with the same id cannot change it.
with lines as (
    select * from {{ ref('int_lines') }}
    where reject_reason is null and set_aside_reason is null and {{ changed_since('shop_week') }}
),

-- What a weekly build keeps.
earlier as (
    select * from {{ kept_rows(
        {'basket_id': 'string', 'shop_week': 'integer', 'reject_reason': 'string'}, by='shop_week'
    ) }}
),

weeks as (
    select * from {{ ref('stg_weeks') }}
),

-- One hash of all basket attributes per line: two integers compared instead of twelve columns.
hashed as (
    select
        *,
        {{ row_hash([
            'customer_code', 'customer_price_sensitivity', 'customer_lifestage',
            'store_code', 'store_format', 'store_region', 'shop_date', 'shop_hour',
            'basket_size', 'trip_price_sensitivity', 'trip_type', 'trip_focus',
        ]) }} as attributes_hash
    from lines
),

grouped as (
    select
        basket_id,
        shop_week,
        min(attributes_hash) != max(attributes_hash) as is_contradictory,
        {# Lines of one product are added up: no sum may be larger than its column. #}
        {% if layout().repeated_lines == 'add' %}
            greatest(
                {% for measure in ['quantity', 'spend_pence', 'regular_pence', 'coupon_pence'] %}
                    coalesce(sum({{ measure }}), 0){{ ',' if not loop.last }}
                {% endfor %}
            ) > 2147483647
        {% else %}
            false
        {% endif %}
            as is_too_large,
        min(line_id) as first_line_id
    from hashed
    group by basket_id, shop_week
),

-- What the lines agree on is read from the first: grouping twelve columns took ten times as long at
-- 30 M rows.
baskets as (
    select
        lines.*,
        grouped.is_too_large
    from grouped
    inner join lines on grouped.first_line_id = lines.line_id
),

contradictory_lines as (
    select lines.*
    from lines
    inner join grouped
        on lines.basket_id = grouped.basket_id and lines.shop_week = grouped.shop_week
    where grouped.is_contradictory
),

-- Only contradictory baskets are read again, to name what their lines disagree on.
contradictions as (
    select
        basket_id,
        shop_week,
        case
            when count(distinct coalesce(customer_code, '')) > 1
                then 'basket with several customers'
            when count(distinct store_code) > 1
                then 'basket with several stores'
            when count(distinct {{ row_hash(['shop_date', 'shop_hour']) }}) > 1
                then 'basket with several dates or hours'
            when count(distinct {{ row_hash(['store_format', 'store_region']) }}) > 1
                then 'basket with several store formats or regions'
            when
                count(distinct {{ row_hash(
                    ['customer_price_sensitivity', 'customer_lifestage']
                ) }}) > 1
                then 'basket with several customer segments'
            else 'basket with several sizes, types, missions or price sensitivities'
        end as reject_reason
    from contradictory_lines
    group by basket_id, shop_week
),

checked as (
    select
        baskets.basket_id,
        baskets.customer_code,
        baskets.customer_price_sensitivity,
        baskets.customer_lifestage,
        baskets.store_code,
        baskets.store_format,
        baskets.store_region,
        weeks.week,
        baskets.shop_week,
        baskets.shop_date,
        baskets.shop_hour,
        baskets.basket_size,
        baskets.trip_price_sensitivity,
        baskets.trip_type,
        baskets.trip_focus,
        baskets.is_simulated,
        case
            when contradictions.reject_reason is not null then contradictions.reject_reason
            when weeks.week is null then 'shop_week not in the calendar'
            when baskets.shop_date not between weeks.date_from and weeks.date_to
                then 'shop_date outside its shop_week'
            when baskets.is_too_large
                then 'basket of more than 2147483647 units or 21474836.47'
        end as basket_reason
    from baskets
    left join weeks on baskets.shop_week = weeks.shop_week
    left join contradictions
        on
            baskets.basket_id = contradictions.basket_id
            and baskets.shop_week = contradictions.shop_week
),

used_earlier as (
    select distinct basket_id
    from earlier
    where reject_reason is null
),

told_apart as (
    select
        checked.*,
        case
            when checked.basket_reason is not null then checked.basket_reason
            when
                used_earlier.basket_id is not null
                or row_number() over (
                    partition by checked.basket_id, checked.basket_reason is null
                    order by checked.shop_week
                ) > 1
                then 'basket_id used in an earlier week'
        end as reject_reason
    from checked
    left join used_earlier on checked.basket_id = used_earlier.basket_id
)

select
    -- Within its day, so that no step has to sort all trips.
    case
        when reject_reason is null
            then row_number() over (
                partition by reject_reason is null, shop_date
                order by shop_hour, basket_id
            )::integer
    end as number_in_day,
    basket_id,
    customer_code,
    customer_price_sensitivity,
    customer_lifestage,
    store_code,
    store_format,
    store_region,
    week,
    shop_week,
    shop_date,
    shop_hour,
    basket_size,
    trip_price_sensitivity,
    trip_type,
    trip_focus,
    is_simulated,
    reject_reason
from told_apart
