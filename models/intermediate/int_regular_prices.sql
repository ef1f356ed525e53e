-- What the chain charges for a product when it is not reduced, per week sold: the highest weekly
-- price so far, where a price fades with every week in which the product is sold, until a lower one
-- outdoes it. How fast follows from the chain: where prices often rise again, a low one is taken
-- for a promotion for long, and where they hardly ever do it soon is the new regular price.
with shelf_prices as (
    select
        shelf_prices.product_key,
        shelf_prices.week,
        shelf_prices.actual_price_pence / levels.price_level as price_pence
    from {{ ref('int_shelf_prices') }} as shelf_prices
    inner join {{ ref('int_store_price_levels') }} as levels
        on shelf_prices.store_key = levels.store_key
    where not shelf_prices.is_random_weight and shelf_prices.actual_price_pence > 0
),

weeks as (
    select
        product_key,
        week,
        min(price_pence) as lowest_price_pence,
        max(price_pence) as highest_price_pence
    from shelf_prices
    group by product_key, week
),

-- A median over equal prices is that price: only the weeks with several are sorted.
medians as (
    select
        shelf_prices.product_key,
        shelf_prices.week,
        median(shelf_prices.price_pence) as price_pence
    from shelf_prices
    inner join weeks
        on shelf_prices.product_key = weeks.product_key and shelf_prices.week = weeks.week
    where weeks.lowest_price_pence < weeks.highest_price_pence
    group by shelf_prices.product_key, shelf_prices.week
),

weekly as (
    select
        weeks.product_key,
        weeks.week,
        weeks.lowest_price_pence,
        coalesce(medians.price_pence, weeks.lowest_price_pence) as price_pence,
        row_number() over (partition by weeks.product_key order by weeks.week) as weeks_sold
    from weeks
    left join medians
        on weeks.product_key = medians.product_key and weeks.week = medians.week
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
