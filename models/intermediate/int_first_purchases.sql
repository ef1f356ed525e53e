{{ config(materialized='weekly') }}

-- The week in which a customer first bought a product.
with purchases as (
    select
        trips.customer_key,
        items.product_key,
        min(items.week) as week
    from {{ ref('int_items') }} as items
    inner join {{ ref('int_trips') }} as trips on items.trip_key = trips.trip_key
    where
        trips.customer_key is not null
        and {{ changed_since('items.week') }}
        and {{ changed_since('trips.week') }}
    group by trips.customer_key, items.product_key
),

-- What a weekly build keeps.
earlier as (
    select * from {{ kept_rows(
        {'customer_key': 'integer', 'product_key': 'integer'}, by='week'
    ) }}
)

select
    purchases.customer_key,
    purchases.product_key,
    purchases.week
from purchases
left join earlier
    on
        purchases.customer_key = earlier.customer_key
        and purchases.product_key = earlier.product_key
where earlier.customer_key is null
