{{ config(materialized='of_training') }}

-- Pairs of one sub-commodity, each once (the lower key first), of which identified customers take
-- one instead of the other: those who usually buy one buy the other more than shares of the
-- commodity explain, most of all when it is cheap, and do not put both into one basket more often
-- than chance. Training weeks. docs/product_graph.md has the formulas and what they find.
--
-- Shares are whole millionths, so that sums are exact and do not depend on the order of rows.
{% set millionths = '1000000' %}
{# A purchase at the usual price says a little: who buys both has a reason. #}
{% set lowest_gain = '0.03' %}
{# So many purchases of the chain's households stand beside each household's own. #}
{% set prior_purchases = '3' %}
{# Keeps what a few purchases at usual prices say from counting as evidence. #}
{% set prior_variance = '0.05' %}
with products as (
    select
        products.product_key,
        products.category_1,
        products.category_2,
        prices.price_pence,
        weighed.is_random_weight
    from {{ ref('int_products') }} as products
    inner join {{ ref('int_product_prices') }} as prices
        on products.product_key = prices.product_key
    inner join {{ ref('int_random_weight') }} as weighed
        on products.product_key = weighed.product_key
),

trips as (
    select
        trip_key,
        customer_key
    from {{ ref('int_trips') }}
    where week <= {{ train_last_week() }} and customer_key is not null
),

-- The gain is the part of a purchase that its price explains, if quantities fall with its square.
purchases as (
    select
        items.trip_key,
        trips.customer_key,
        items.product_key,
        products.category_1,
        products.category_2,
        count(*) over (partition by items.trip_key, products.category_2) - 1 as companions,
        case
            when products.is_random_weight or products.price_pence = 0
                then {{ lowest_gain }}::double
            else greatest(
                {{ lowest_gain }}::double,
                1 - pow(items.spend_pence::double / items.quantity / products.price_pence, 2)
            )
        end as gain
    from {{ ref('int_items') }} as items
    inner join trips on items.trip_key = trips.trip_key
    inner join products on items.product_key = products.product_key
    where items.week <= {{ train_last_week() }}
),

habits as (
    select
        customer_key,
        product_key,
        category_1,
        category_2,
        count(*) as times,
        sum(round(gain * {{ millionths }})::bigint)::double / {{ millionths }} as gain,
        sum(companions)::bigint as companions,
        (sum(count(*)) over (partition by customer_key, category_2) - count(*))::bigint
            as other_times
    from purchases
    group by customer_key, product_key, category_1, category_2
),

-- To be multiplied by the purchases of another product: `drawn` gives the gain that came from it,
-- `joined` the companions that it would be if they were like all other purchases of the commodity.
rates as (
    select
        customer_key,
        product_key,
        category_1,
        category_2,
        times,
        other_times,
        gain * {{ prior_purchases }} / ({{ prior_purchases }} + times)
        / (other_times + {{ prior_purchases }}) as drawn,
        companions::double / nullif(other_times, 0) as joined
    from habits
),

margins as (
    select
        product_key,
        sum(times)::bigint as times,
        (sum(sum(times)) over (partition by category_2))::bigint as commodity_times,
        sum(round(drawn * other_times * {{ millionths }})::bigint)::double / {{ millionths }}
            as drawn
    from rates
    group by product_key, category_2
),

shared_habits as (
    select
        a.product_key as product_key_a,
        b.product_key as product_key_b,
        round(a.drawn * b.times * {{ millionths }})::bigint as a_from_b,
        round(b.drawn * a.times * {{ millionths }})::bigint as b_from_a,
        round((a.joined * b.times + b.joined * a.times) * {{ millionths }} / 2)::bigint as joined
    from rates as a
    inner join rates as b
        on
            a.customer_key = b.customer_key
            and a.category_1 = b.category_1
            and a.product_key < b.product_key
),

pairs as (
    select
        product_key_a,
        product_key_b,
        count(*)::integer as customers_both,
        sum(a_from_b + b_from_a)::double / {{ millionths }} as drawn,
        sum(
            a_from_b::{{ wide_integer() }} * a_from_b + b_from_a::{{ wide_integer() }} * b_from_a
        )::double / {{ millionths }} / {{ millionths }} as drawn_squared,
        sum(joined)::double / {{ millionths }} as trips_expected
    from shared_habits
    group by product_key_a, product_key_b
    having count(*) >= {{ var('substitution_min_customers') }}
),

-- What would be drawn from each other if every household's other purchases were the commodity's.
evident as (
    select
        pairs.*,
        (
            pairs.drawn
            - (
                a.drawn * b.times / (b.commodity_times - a.times)
                + b.drawn * a.times / (a.commodity_times - b.times)
            )
        ) / sqrt(pairs.drawn_squared + {{ prior_variance }}) as evidence
    from pairs
    inner join margins as a on pairs.product_key_a = a.product_key
    inner join margins as b on pairs.product_key_b = b.product_key
),

candidates as (
    select * from evident
    where evidence > {{ var('substitution_min_evidence') }}
),

trips_with_both as (
    select
        candidates.product_key_a,
        candidates.product_key_b,
        count(*)::integer as trips_both
    from purchases as a
    inner join purchases as b
        on
            a.trip_key = b.trip_key
            and a.category_1 = b.category_1
            and a.product_key < b.product_key
    inner join candidates
        on a.product_key = candidates.product_key_a and b.product_key = candidates.product_key_b
    group by candidates.product_key_a, candidates.product_key_b
)

select
    candidates.product_key_a,
    candidates.product_key_b,
    candidates.customers_both,
    coalesce(trips_with_both.trips_both, 0) as trips_both,
    candidates.trips_expected,
    candidates.evidence
from candidates
left join trips_with_both
    on
        candidates.product_key_a = trips_with_both.product_key_a
        and candidates.product_key_b = trips_with_both.product_key_b
where
    coalesce(trips_with_both.trips_both, 0) - candidates.trips_expected
    < {{ var('substitution_max_together') }} * sqrt(candidates.trips_expected + 1)
