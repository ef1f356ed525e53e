{{ config(materialized='weekly') }}

with shelf_prices as (
    select
        *,
        -- Hundredths of a penny, whole: running sums of these are exact in any order.
        round(actual_price_pence * 100)::bigint as exact_price
    from {{ ref('int_shelf_prices') }}
    {% if first_changed('week') is not none %}
        -- The history of what was sold since, and of nothing else.
        where (product_key, store_key) in (
            select
                product_key,
                store_key
            from {{ ref('int_shelf_prices') }}
            where {{ changed_since('week') }}
        )
    {% endif %}
),

running as (
    select
        *,
        max(actual_price_pence) over (
            partition by product_key, store_key
            order by week
            range between {{ var('base_price_weeks') - 1 }} preceding and current row
        ) as base_price_pence,
        lag(actual_price_pence) over (
            partition by product_key, store_key
            order by week
        ) as previous_price_pence,
        min(week) over so_far as first_week,
        count(*) over so_far as weeks_sold,
        sum(exact_price::{{ wide_integer() }}) over so_far as price_sum,
        sum(exact_price::{{ wide_integer() }} * exact_price) over so_far as price_square_sum
    from shelf_prices
    window so_far as (
        partition by product_key, store_key
        order by week
        rows between unbounded preceding and current row
    )
),

compared as (
    select
        running.*,
        -- Without the crumbs that floating point leaves. Products sold by weight have no price but
        -- the one.
        greatest(
            running.actual_price_pence,
            coalesce(
                running.stated_price_pence,
                {{ rounded('regular.regular_price_pence * coalesce(levels.price_level, 1e0)', 4) }},
                0
            )
        ) as regular_price_pence
    from running
    left join {{ ref('int_store_price_levels') }} as levels
        on running.store_key = levels.store_key
    left join {{ ref('int_regular_prices') }} as regular
        on
            running.product_key = regular.product_key
            and running.week = regular.week
            -- Where no store charged less, actual prices are as high. That leaves little to join.
            and regular.lowest_price_pence < regular.regular_price_pence
),

derived as (
    select
        *,
        -- Differences first: in floating point 1 - 38 / 40 exceeds 5 %, and 2 / 40 does not.
        case
            when regular_price_pence > 0
                then (regular_price_pence - actual_price_pence) / regular_price_pence
            else 0
        end as discount_depth,
        (week - first_week + 1 - weeks_sold) / (week - first_week + 1) as missing_share,
        -- Standard deviation over mean, from exact sums: sqrt(n * sum(x^2) - sum(x)^2) / sum(x).
        case
            when price_sum > 0
                then
                    sqrt((weeks_sold * price_square_sum - price_sum * price_sum)::double)
                    / price_sum::double
            else 0
        end as price_variation
    from compared
)

select
    product_key,
    store_key,
    week,
    case when is_random_weight then 'stable' else 'observed' end as imputation_level,
    actual_price_pence,
    previous_price_pence,
    base_price_pence,
    regular_price_pence,
    discount_depth,
    missing_share,
    price_variation,
    sales,
    units,
    discount_depth > {{ var('promotion_min_depth') }} as is_promotion,
    actual_price_pence <= 0 as is_price_not_positive,
    actual_price_pence >= {{ var('doubtful_price_pence') }} as is_price_high,
    discount_depth > {{ var('doubtful_depth') }} as is_discount_deep,
    missing_share > {{ var('doubtful_missing_share') }} as is_often_missing,
    price_variation > {{ var('doubtful_variation') }} as is_price_volatile
from derived
