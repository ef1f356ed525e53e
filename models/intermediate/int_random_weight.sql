-- Evidence, from training weeks only, that a product is sold by weight. One (product, store, week)
-- with n single units at d different prices gives n - 1 comparisons, of which d - 1 differ.
-- What decides, in order: enough comparisons; else one price in every sale (weighed portions never
-- agree that often) or purchases of several units (nobody weighs two portions as one); else most
-- single units sold of those products of the sub-commodity that could be judged.
with items as (
    select * from {{ ref('int_items') }}
    where week <= {{ train_last_week() }}
),

trips as (
    select
        trip_key,
        store_key
    from {{ ref('int_trips') }}
),

products as (
    select
        product_key,
        category_1
    from {{ ref('int_products') }}
),

shelves as (
    select
        items.product_key,
        items.week,
        trips.store_key,
        items.quantity = 1 as is_single_unit,
        count(*) - 1 as comparisons,
        count(distinct items.spend_pence / items.quantity) - 1 as differences,
        min(items.spend_pence / items.quantity) as lowest_price,
        max(items.spend_pence / items.quantity) as highest_price
    from items
    inner join trips on items.trip_key = trips.trip_key
    group by items.product_key, items.week, trips.store_key, items.quantity = 1
),

evidence as (
    select
        product_key,
        coalesce(sum(comparisons) filter (where is_single_unit), 0)::integer as comparisons,
        coalesce(sum(differences) filter (where is_single_unit), 0)::integer as differences,
        coalesce(sum(differences) filter (where not is_single_unit), 0)::integer
            as multiple_unit_differences,
        coalesce(sum(comparisons + 1) filter (where is_single_unit), 0)::integer as single_units,
        coalesce(sum(comparisons + 1) filter (where not is_single_unit), 0)::integer
            as multiple_units,
        min(lowest_price) filter (where is_single_unit)
        = max(highest_price) filter (where is_single_unit) as has_one_price
    from shelves
    group by product_key
),

judged as (
    select
        products.product_key,
        products.category_1,
        coalesce(evidence.comparisons, 0) as comparisons,
        coalesce(evidence.differences, 0) as differences,
        coalesce(evidence.multiple_unit_differences, 0) as multiple_unit_differences,
        coalesce(evidence.single_units, 0) as single_units,
        case
            when evidence.comparisons >= {{ var('random_weight_min_comparisons') }}
                then
                    evidence.multiple_unit_differences = 0
                    and evidence.differences
                    >= {{ var('random_weight_min_share') }} * evidence.comparisons
            when
                evidence.has_one_price
                and evidence.single_units >= {{ var('not_weighed_min_sales') }}
                then false
            when evidence.multiple_units >= {{ var('not_weighed_min_sales') }}
                then false
        end as is_random_weight
    from products
    left join evidence on products.product_key = evidence.product_key
),

sub_commodities as (
    select
        category_1,
        sum(single_units) filter (where is_random_weight) * 2 > sum(single_units)
            as is_random_weight
    from judged
    where is_random_weight is not null
    group by category_1
)

select
    judged.product_key,
    judged.comparisons,
    judged.differences,
    judged.multiple_unit_differences,
    coalesce(judged.is_random_weight, sub_commodities.is_random_weight, false) as is_random_weight,
    case
        when judged.is_random_weight is not null then 'own prices'
        when sub_commodities.is_random_weight is not null then 'sub-commodity'
        else 'default'
    end as random_weight_basis
from judged
left join sub_commodities on judged.category_1 = sub_commodities.category_1
