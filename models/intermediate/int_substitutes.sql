-- Pairs of one sub-commodity, each once (the lower key first), that could stand for each other: the
-- same customers buy both (Jaccard), but not together (lift), at a similar price. Training weeks.
with items as (
    select
        trip_key,
        product_key
    from {{ ref('int_items') }}
    where week <= {{ train_last_week() }}
),

trips as (
    select
        trip_key,
        customer_key
    from {{ ref('int_trips') }}
),

products as (
    select
        margins.product_key,
        products.category_1,
        margins.trips,
        margins.customers,
        margins.all_trips,
        prices.price_pence
    from {{ ref('int_product_trips') }} as margins
    inner join {{ ref('int_products') }} as products on margins.product_key = products.product_key
    inner join {{ ref('int_product_prices') }} as prices
        on margins.product_key = prices.product_key
),

buyers as (
    select distinct
        trips.customer_key,
        products.category_1,
        items.product_key
    from items
    inner join trips on items.trip_key = trips.trip_key
    inner join products on items.product_key = products.product_key
    where trips.customer_key is not null
),

shared_buyers as (
    select
        a.product_key as product_key_a,
        b.product_key as product_key_b,
        count(*) as customers_both
    from buyers as a
    inner join buyers as b
        on
            a.customer_key = b.customer_key
            and a.category_1 = b.category_1
            and a.product_key < b.product_key
    group by a.product_key, b.product_key
),

compared as (
    select
        shared_buyers.product_key_a,
        shared_buyers.product_key_b,
        shared_buyers.customers_both / (a.customers + b.customers - shared_buyers.customers_both)
            as jaccard,
        abs(a.price_pence - b.price_pence) / nullif(greatest(a.price_pence, b.price_pence), 0)
            as price_gap,
        a.trips as trips_a,
        b.trips as trips_b,
        a.all_trips
    from shared_buyers
    inner join products as a on shared_buyers.product_key_a = a.product_key
    inner join products as b on shared_buyers.product_key_b = b.product_key
),

similar_pairs as (
    select * from compared
    where
        jaccard > {{ var('substitution_min_jaccard') }}
        and price_gap < {{ var('substitution_max_price_gap') }}
),

items_with_category as (
    select
        items.trip_key,
        items.product_key,
        products.category_1
    from items
    inner join products on items.product_key = products.product_key
),

trips_with_both as (
    select
        a.product_key as product_key_a,
        b.product_key as product_key_b,
        count(*)::integer as trips_both
    from items_with_category as a
    inner join items_with_category as b
        on
            a.trip_key = b.trip_key
            and a.category_1 = b.category_1
            and a.product_key < b.product_key
    group by a.product_key, b.product_key
),

lifted as (
    select
        similar_pairs.*,
        coalesce(trips_with_both.trips_both, 0) as trips_both,
        {{ lift(
            'coalesce(trips_with_both.trips_both, 0)',
            'similar_pairs.trips_a',
            'similar_pairs.trips_b',
            'similar_pairs.all_trips'
        ) }} as lift
    from similar_pairs
    left join trips_with_both
        on
            similar_pairs.product_key_a = trips_with_both.product_key_a
            and similar_pairs.product_key_b = trips_with_both.product_key_b
)

select
    product_key_a,
    product_key_b,
    jaccard,
    price_gap,
    trips_both,
    lift,
    jaccard * (1 - lift / {{ var('substitution_max_lift') }}) as weight
from lifted
where lift < {{ var('substitution_max_lift') }}
