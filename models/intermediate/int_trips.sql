{{ config(materialized='weekly') }}

-- Accepted baskets with integer keys and the totals of their items.
with baskets as (
    select * from {{ ref('int_baskets') }}
    where reject_reason is null and {{ changed_since('week') }}
),

-- What a weekly build keeps.
earlier as (
    select
        customer_key,
        max(trip_number) as trips
    from {{ kept_rows({'customer_key': 'integer', 'trip_number': 'integer'}, by='week') }}
    group by customer_key
),

customers as (
    select
        customer_key,
        customer_code
    from {{ ref('int_customers') }}
),

stores as (
    select
        store_key,
        store_code
    from {{ ref('int_stores') }}
),

items as (
    select * from {{ ref('int_items') }}
    where {{ changed_since('week') }}
),

kinds as (
    select * from {{ ref('int_trip_kinds') }}
    where {{ changed_since('week') }}
),

totals as (
    select
        trip_key,
        count(*)::integer as item_count,
        sum(quantity)::bigint as unit_count,
        sum(spend_pence)::bigint as spend_pence,
        -- The sum does not depend on the order of the lines.
        sum(
            {{ row_hash(['product_key', 'quantity', 'spend_pence']) }}::{{ wide_integer() }}
        )::{{ wide_integer() }} as lines_fingerprint
    from items
    group by trip_key
)

select
    baskets.trip_key,
    baskets.basket_id,
    customers.customer_key,
    stores.store_key,
    case
        when customers.customer_key is not null
            then
                coalesce(earlier.trips, 0)
                + row_number() over (
                    partition by
                        customers.customer_key,
                        -- Each anonymous trip is apart, so that no step has to sort all of them.
                        case when customers.customer_key is null then baskets.trip_key end
                    order by baskets.trip_key
                )
    end::integer as trip_number,
    baskets.week,
    baskets.shop_date,
    baskets.shop_hour,
    {% for kind in ['basket_size', 'trip_price_sensitivity', 'trip_type', 'trip_focus'] %}
        coalesce(baskets.{{ kind }}, kinds.{{ kind }}) as {{ kind }},
    {% endfor %}
    baskets.is_simulated,
    totals.item_count,
    totals.unit_count,
    totals.spend_pence,
    totals.lines_fingerprint
from baskets
inner join totals on baskets.trip_key = totals.trip_key
inner join stores on baskets.store_code = stores.store_code
left join customers on baskets.customer_code = customers.customer_code
left join earlier on customers.customer_key = earlier.customer_key
left join kinds on baskets.trip_key = kinds.trip_key
order by baskets.trip_key
