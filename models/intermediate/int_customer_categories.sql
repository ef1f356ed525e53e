{{ config(materialized='weekly', meta={'by': 'as_of_week'}) }}

-- A customer's earlier items by department, as a list in the order of department codes. Departments
-- are those of the training weeks; items of others are not counted.
with items as (
    select * from {{ ref('int_items') }}
),

trips as (
    select
        trip_key,
        customer_key
    from {{ ref('int_trips') }}
    where customer_key is not null
),

products as (
    select
        product_key,
        category_4
    from {{ ref('int_products') }}
),

-- Whole numbers instead of codes make the window below quick.
departments as (
    select
        category_4,
        row_number() over (order by category_4) as place
    from {{ ref('int_products') }}
    where first_week <= {{ train_last_week() }}
    group by category_4
),

bought as (
    select
        trips.customer_key,
        {{ before_changes('items.week') }} as week,
        departments.place,
        count(*) as items
    from items
    inner join trips on items.trip_key = trips.trip_key
    inner join products on items.product_key = products.product_key
    inner join departments on products.category_4 = departments.category_4
    group by trips.customer_key, {{ before_changes('items.week') }}, departments.place
),

weeks as (
    {{ customer_weeks_to_sum() }}
),

frames as (
    select
        weeks.customer_key,
        weeks.week,
        departments.place
    from weeks
    cross join departments
),

running as (
    select
        frames.customer_key,
        frames.week,
        frames.place,
        {{ sum_earlier('bought.items') }} as items
    from frames
    left join bought
        on
            frames.customer_key = bought.customer_key
            and frames.week = bought.week
            and frames.place = bought.place
    window {{ earlier_window('frames.customer_key, frames.place', 'frames.week') }}
)

select
    customer_key,
    week as as_of_week,
    {{ collect_in_order('items', 'place') }} as items_by_category
from running
group by customer_key, week
