select
    customer_key,
    customer_code,
    price_sensitivity,
    lifestage,
    first_week
from {{ ref('int_customers') }}
order by customer_key
