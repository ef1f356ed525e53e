with customers as (
    select * from {{ ref('customers') }}
),

weeks as (
    select
        week,
        split
    from {{ ref('weeks') }}
)

select
    customers.customer_key,
    customers.customer_code,
    coalesce(customers.price_sensitivity, '') as price_sensitivity,
    coalesce(customers.lifestage, '') as lifestage,
    coalesce(weeks.split = 'train', false) as is_of_training
from customers
left join weeks on customers.first_week = weeks.week
