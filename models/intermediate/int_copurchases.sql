{{ config(materialized='of_training') }}

-- Pairs of products bought together in the training weeks, each once (the lower key first), with
-- lift and chi-square of their 2 x 2 table. Only products on enough trips are paired.
with products as (
    select product_key from {{ ref('int_product_trips') }}
    where
        trips >= {{ fewest_significant_trips() }}
        and trips >= {{ var('copurchase_min_share') }} * all_trips
),

-- A trip with n products has n (n - 1) / 2 pairs, which are bounded here: bulk purchases tell
-- little of what goes together, and of very many trips every second or third tells as much as all.
ordinary as (
    select trip_key from {{ ref('int_trips') }}
    where week <= {{ train_last_week() }} and item_count <= {{ var('copurchase_most_items') }}
),

sampling as (
    select ceil(greatest(count(*), 1) / {{ var('copurchase_most_trips') }}) as step
    from ordinary
),

trips as (
    select ordinary.trip_key
    from ordinary
    cross join sampling
    where ordinary.trip_key % sampling.step = 0
),

chain as (
    select count(*)::integer as all_trips
    from trips
),

items as (
    select
        items.trip_key,
        items.product_key
    from {{ ref('int_items') }} as items
    inner join products on items.product_key = products.product_key
    inner join trips on items.trip_key = trips.trip_key
    where items.week <= {{ train_last_week() }}
),

counts as (
    select
        product_key,
        count(*)::integer as trips
    from items
    group by product_key
),

pairs as (
    select
        a.product_key as product_key_a,
        b.product_key as product_key_b,
        count(*) as trips_both
    from items as a
    inner join items as b on a.trip_key = b.trip_key and a.product_key < b.product_key
    group by a.product_key, b.product_key
    having count(*) >= {{ fewest_significant_trips() }}
)

select
    pairs.product_key_a,
    pairs.product_key_b,
    pairs.trips_both::integer as trips_both,
    a.trips as trips_a,
    b.trips as trips_b,
    chain.all_trips,
    {{ lift('pairs.trips_both', 'a.trips', 'b.trips', 'chain.all_trips') }} as lift,
    {{ chi_square('pairs.trips_both', 'a.trips', 'b.trips', 'chain.all_trips') }} as chi_square
from pairs
inner join counts as a on pairs.product_key_a = a.product_key
inner join counts as b on pairs.product_key_b = b.product_key
cross join chain
where pairs.trips_both >= {{ var('copurchase_min_share') }} * chain.all_trips
