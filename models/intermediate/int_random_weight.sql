-- Whether a product is sold by weight: as most of its lines say, where the source says it, or else
-- as prices tell. Two single units of a product with a shelf price mostly cost the same, whatever
-- the store: those of one quarter of a year are compared, so that neither price changes over the
-- years nor stores with few sales matter. Weighed portions hardly ever cost the same. A product
-- with too few pairs is what most single units sold of its sub-commodity's judged products are.
--
-- All from training weeks, but for what the source says of a product that was first sold later.
with products as (
    select
        product_key,
        category_1,
        first_week
    from {{ ref('int_products') }}
),

statements as (
    select
        items.product_key,
        avg(case when items.is_weighed then 1 else 0 end) > 0.5 as is_random_weight
    from {{ ref('int_items') }} as items
    inner join products on items.product_key = products.product_key
    where
        items.is_weighed is not null
        and items.week <= greatest({{ train_last_week() }}, products.first_week)
    group by items.product_key
),

items as (
    select
        product_key,
        floor((week - 1) / 13) as quarter_year,
        spend_pence
    from {{ ref('int_items') }}
    where quantity = 1 and week <= {{ train_last_week() }}
),

prices as (
    select
        product_key,
        quarter_year,
        spend_pence,
        count(*) as sales
    from items
    group by product_key, quarter_year, spend_pence
),

-- n sales make n (n - 1) / 2 pairs.
quarters as (
    select
        product_key,
        sum(sales) as single_units,
        sum(sales) * (sum(sales) - 1) / 2 as pairs,
        sum(sales * (sales - 1)) / 2 as agreeing_pairs
    from prices
    group by product_key, quarter_year
),

evidence as (
    select
        product_key,
        sum(single_units) as single_units,
        sum(pairs)::bigint as pairs,
        sum(agreeing_pairs)::bigint as agreeing_pairs
    from quarters
    group by product_key
),

judged as (
    select
        products.product_key,
        products.category_1,
        evidence.single_units,
        coalesce(evidence.pairs, 0) as pairs,
        coalesce(evidence.agreeing_pairs, 0) as agreeing_pairs,
        statements.is_random_weight is not null as is_stated,
        case
            when statements.is_random_weight is not null then statements.is_random_weight
            when evidence.pairs >= {{ var('random_weight_min_pairs') }}
                then
                    evidence.agreeing_pairs
                    < {{ var('random_weight_max_agreement') }} * evidence.pairs
        end as is_random_weight
    from products
    left join evidence on products.product_key = evidence.product_key
    left join statements on products.product_key = statements.product_key
),

sub_commodities as (
    select
        category_1,
        sum(case when is_random_weight then single_units else 0 end) * 2 > sum(single_units)
            as is_random_weight
    from judged
    where is_random_weight is not null
    group by category_1
)

select
    judged.product_key,
    judged.pairs,
    judged.agreeing_pairs,
    coalesce(judged.is_random_weight, sub_commodities.is_random_weight, false) as is_random_weight,
    case
        when judged.is_stated then 'source'
        when judged.is_random_weight is not null then 'own prices'
        when sub_commodities.is_random_weight is not null then 'sub-commodity'
        else 'default'
    end as random_weight_basis
from judged
left join sub_commodities on judged.category_1 = sub_commodities.category_1
