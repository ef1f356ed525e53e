-- Keys count in the order of first weeks, so that later customers leave those of earlier ones as
-- they are. Segments are those of the customer's first trip: for earlier weeks, later ones would be
-- the future.
with trips as (
    select * from {{ ref('int_baskets') }}
    where reject_reason is null and customer_code is not null
)

select
    row_number() over (order by min(week), customer_code)::integer as customer_key,
    customer_code,
    {{ first_by('customer_price_sensitivity', 'trip_key') }} as price_sensitivity,
    {{ first_by('customer_lifestage', 'trip_key') }} as lifestage,
    min(week)::smallint as first_week,
    bool_and(is_simulated) as is_simulated
from trips
group by customer_code
