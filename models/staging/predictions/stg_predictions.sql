-- Predictions of the trainer, typed.
select
    customer_code,
    product_rank::integer as product_rank,
    product_code,
    probability::double as probability,
    is_repeat,
    expected_items::double as expected_items,
    visible_items::integer as visible_items,
    data_until::date as data_until,
    trip_date::date as trip_date,
    trip_date_probability::double as trip_date_probability,
    trip_hour::tinyint as trip_hour,
    trip_hour_probability::double as trip_hour_probability,
    store_code,
    store_probability::double as store_probability,
    basket_size,
    trip_price_sensitivity,
    trip_type,
    trip_focus,
    kind_probability::double as kind_probability
from {{ prediction_rows() }}
order by file_row_number
