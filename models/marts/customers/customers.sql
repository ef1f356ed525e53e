select
    customer_key,
    customer_code,
    price_sensitivity,
    lifestage,
    first_week,
    is_simulated
from {{ ref('int_customers') }}
order by customer_key
