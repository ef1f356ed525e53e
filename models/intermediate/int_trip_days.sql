-- Trips before each day, from which they are numbered.
select
    shop_date,
    (sum(count(*)) over (order by shop_date) - count(*))::integer as earlier_trips
from {{ ref('int_checked_baskets') }}
where reject_reason is null
group by shop_date
