select
    items.product_key,
    trips.store_key,
    items.week,
    count(*)::integer as baskets,
    sum(items.quantity)::bigint as units,
    sum(items.coupon_pence)::bigint as coupon_pence
from {{ ref('int_items') }} as items
inner join {{ ref('int_trips') }} as trips on items.trip_key = trips.trip_key
where items.coupon_pence > 0
group by items.product_key, trips.store_key, items.week
order by items.product_key, trips.store_key, items.week
