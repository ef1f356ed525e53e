with products as (
    select * from {{ ref('products') }}
),

prices as (
    select * from {{ ref('price_fallbacks_product') }}
),

usual_prices as (
    select * from {{ ref('int_product_prices') }}
),

margins as (
    select * from {{ ref('int_product_trips') }}
),

clusters as (
    select * from {{ ref('int_substitution_clusters') }}
),

substitute_ends as (
    select product_key_a as product_key
    from {{ ref('int_substitutes') }}
    union all
    select product_key_b
    from {{ ref('int_substitutes') }}
),

substitute_counts as (
    select
        product_key,
        count(*)::integer as substitutes
    from substitute_ends
    group by product_key
),

-- Tiers and positions are relative to products sold in the training weeks.
bounds as (
    select
        products.category_1,
        percentile_cont({{ var('value_percentile') }}) within group (
            order by prices.price_pence
        ) as value_bound,
        median(prices.price_pence) as median_price,
        percentile_cont({{ var('premium_percentile') }}) within group (
            order by prices.price_pence
        ) as premium_bound,
        sum(margins.units)::bigint as units
    from products
    inner join prices on products.product_key = prices.product_key
    inner join margins on products.product_key = margins.product_key
    group by products.category_1
),

described as (
    select
        products.product_key,
        products.category_1,
        case
            when prices.price_pence < bounds.value_bound then 'value'
            when prices.price_pence > bounds.premium_bound then 'premium'
            else 'mainstream'
        end as price_tier,
        clusters.cluster,
        coalesce(prices.price_pence / nullif(bounds.median_price, 0), 1) as positioning,
        1 - least(1, coalesce(usual_prices.price_variation, 0)) as price_stability,
        coalesce(substitute_counts.substitutes, 0) as substitutes,
        coalesce(margins.units / bounds.units, 0) as volume_share
    from products
    inner join prices on products.product_key = prices.product_key
    left join bounds on products.category_1 = bounds.category_1
    left join margins on products.product_key = margins.product_key
    left join clusters on products.product_key = clusters.product_key
    left join substitute_counts on products.product_key = substitute_counts.product_key
    left join usual_prices on products.product_key = usual_prices.product_key
)

select
    product_key,
    dense_rank() over (
        order by category_1, price_tier, coalesce(cluster, 0)
    )::integer as pseudo_brand_key,
    price_tier,
    cluster as substitution_cluster,
    substitutes,
    positioning,
    price_stability,
    volume_share
from described
order by product_key
