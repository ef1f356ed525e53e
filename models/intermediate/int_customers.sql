-- Segments are those of the customer's first trip: later ones would be the future to earlier weeks.
with trips as (
    select * from {{ ref('int_baskets') }}
    where reject_reason is null and customer_code is not null
)

select
    row_number() over (order by customer_code)::integer as customer_key,
    customer_code,
    first(customer_price_sensitivity order by trip_key) as price_sensitivity,
    first(customer_lifestage order by trip_key) as lifestage,
    min(week)::smallint as first_week
from trips
group by customer_code
