-- The likeliest products of each customer's next trip, with the keys of the warehouse.
select
    customers.customer_key,
    predictions.customer_code,
    predictions.product_rank,
    products.product_key,
    predictions.probability,
    predictions.is_repeat,
    predictions.expected_items,
    predictions.visible_items,
    predictions.data_until,
    predictions.trip_date,
    predictions.trip_date_probability,
    predictions.trip_hour,
    predictions.trip_hour_probability,
    stores.store_key,
    predictions.store_probability,
    predictions.basket_size,
    predictions.trip_price_sensitivity,
    predictions.trip_type,
    predictions.trip_focus,
    predictions.kind_probability
from {{ ref('stg_predictions') }} as predictions
left join {{ ref('customers') }} as customers on predictions.customer_code = customers.customer_code
left join {{ ref('products') }} as products on predictions.product_code = products.product_code
left join {{ ref('stores') }} as stores on predictions.store_code = stores.store_code
order by predictions.customer_code, predictions.product_rank
