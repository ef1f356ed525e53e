{{ config(materialized='weekly', meta={'few_rows': true}) }}

-- What the chain charges for a product when it is not reduced, per week sold: the highest weekly
-- price so far, where a price fades with every week in which the product is sold, until a lower one
-- outdoes it. How fast follows from the chain: where prices often rise again, a low one is taken
-- for a promotion for long, and where they hardly ever do it soon is the new regular price.
with weekly as (
    select
        product_key,
        week,
        lowest_price_pence,
        price_pence,
        row_number() over (partition by product_key order by week) as weeks_sold
    from {{ ref('int_chain_prices') }}
),

moves as (
    select
        week,
        price_pence,
        lag(price_pence) over (partition by product_key order by week) as previous_price_pence
    from weekly
),

-- The share of weeks in which a price rose, one in ten where nothing is known yet.
chain as (
    select
        least(
            ({{ var('regular_price_fade') }} * (count(*) + 10))::double
            / (
                1 + count(
                    case
                        when
                            price_pence * (1 - {{ var('promotion_min_depth') }})
                            > previous_price_pence
                            then 1
                    end
                )
            ),
            1
        ) as fade
    from moves
    where previous_price_pence is not null and week <= {{ train_last_week() }}
)

select
    weekly.product_key,
    weekly.week,
    weekly.lowest_price_pence,
    weekly.price_pence,
    -- The highest of price x exp(-fade x weeks sold since), by logarithms, rounded to lose crumbs.
    {{ rounded(
        'exp(
            -chain.fade * weekly.weeks_sold
            + max(ln(weekly.price_pence) + chain.fade * weekly.weeks_sold) over so_far
        )', 6
    ) }} as regular_price_pence
from weekly
cross join chain
window so_far as (
    partition by weekly.product_key
    order by weekly.week
    rows between unbounded preceding and current row
)
