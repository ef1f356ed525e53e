{{ config(materialized='of_training') }}

-- Trips and customers of each product in the training weeks: the marginal counts of all statistics
-- of pairs.
with items as (
    select * from {{ ref('int_items') }}
    where week <= {{ train_last_week() }}
),

trips as (
    select
        trip_key,
        customer_key
    from {{ ref('int_trips') }}
    where week <= {{ train_last_week() }}
),

chain as (
    select count(*)::integer as all_trips
    from trips
)

select
    items.product_key,
    count(*)::integer as trips,
    count(distinct trips.customer_key)::integer as customers,
    sum(items.quantity)::bigint as units,
    chain.all_trips
from items
inner join trips on items.trip_key = trips.trip_key
cross join chain
group by items.product_key, chain.all_trips
