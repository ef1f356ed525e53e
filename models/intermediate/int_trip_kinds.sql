-- Size, type, focus and price sensitivity of trips whose source has none: from their baskets, with
-- bounds that the training weeks set. Why these rules: docs/kinds.md.
with trips as (
    select
        trip_key,
        week
    from {{ ref('int_baskets') }}
    where reject_reason is null and basket_size is null
),

items as (
    select items.*
    from {{ ref('int_items') }} as items
    inner join trips on items.trip_key = trips.trip_key
),

sales as (
    select
        product_key,
        count(*) as sales,
        sum(spend_pence) / sum(quantity) as price
    from items
    where week <= {{ train_last_week() }}
    group by product_key
),

-- Where a product stands by price among the training sales of its category, from 0 to 1; one first
-- sold later stands nowhere.
positions as (
    select
        sales.product_key,
        (
            sum(sales.sales) over (partition by products.category_1 order by sales.price)
            - sum(sales.sales) over (partition by products.category_1, sales.price) / 2
        ) / sum(sales.sales) over (partition by products.category_1) as price_position
    from sales
    inner join {{ ref('int_products') }} as products on sales.product_key = products.product_key
),

-- How varied a basket is, is counted on the coarsest level of which half the trips have three
-- categories.
categories_of_trips as (
    select
        items.trip_key,
        count(distinct products.category_1) as level_1,
        count(distinct products.category_2) as level_2,
        count(distinct products.category_3) as level_3,
        count(distinct products.category_4) as level_4
    from items
    inner join {{ ref('int_products') }} as products on items.product_key = products.product_key
    where items.week <= {{ train_last_week() }}
    group by items.trip_key
),

variety as (
    select
        percentile_disc(0.5) within group (order by level_1) >= 3 as has_level_1,
        percentile_disc(0.5) within group (order by level_2) >= 3 as has_level_2,
        percentile_disc(0.5) within group (order by level_3) >= 3 as has_level_3,
        percentile_disc(0.5) within group (order by level_4) >= 3 as has_level_4
    from categories_of_trips
),

products as (
    select
        products.product_key,
        products.category_4,
        dense_rank() over (
            order by
                case
                    when variety.has_level_4 then products.category_4
                    when variety.has_level_3 then products.category_3
                    when variety.has_level_2 then products.category_2
                    when variety.has_level_1 then products.category_1
                    else products.product_code
                end
        ) as category,
        positions.price_position
    from {{ ref('int_products') }} as products
    cross join variety
    left join positions on products.product_key = positions.product_key
),

baskets as (
    select
        items.trip_key,
        items.week,
        count(*) as item_count,
        sum(items.quantity) as unit_count,
        count(distinct products.category) as category_count,
        count(*) filter (
            where products.price_position <= {{ var('value_percentile') }}
        ) as value_items,
        count(*) filter (
            where products.price_position >= {{ var('premium_percentile') }}
        ) as premium_items
    from items
    inner join products on items.product_key = products.product_key
    group by items.trip_key, items.week
),

bounds as (
    select
        percentile_disc(0.25) within group (order by unit_count) as small_units,
        percentile_disc(0.65) within group (order by unit_count) as medium_units,
        percentile_disc(0.8) within group (order by unit_count) as many_units,
        percentile_disc(0.5) within group (order by category_count) as some_categories,
        percentile_disc(0.85) within group (order by category_count) as many_categories
    from baskets
    where week <= {{ train_last_week() }}
),

by_label as (
    select
        items.trip_key,
        departments.label,
        sum(items.spend_pence) as spend_pence
    from items
    inner join products on items.product_key = products.product_key
    inner join {{ ref('int_focus_departments') }} as departments
        on products.category_4 = departments.category_4
    group by items.trip_key, departments.label
),

-- No two labels can have five eighths each.
focuses as (
    select
        trip_key,
        max(
            case when 8 * label_pence >= 5 * total_pence then label end
        ) as label
    from (
        select
            trip_key,
            label,
            spend_pence as label_pence,
            sum(spend_pence) over (partition by trip_key) as total_pence
        from by_label
    ) as of_trips
    where total_pence > 0
    group by trip_key
)

select
    baskets.trip_key,
    case
        when baskets.unit_count <= bounds.small_units then 'S'
        when baskets.unit_count <= bounds.medium_units then 'M'
        else 'L'
    end as basket_size,
    case
        when
            baskets.value_items > baskets.premium_items
            and 4 * baskets.value_items >= baskets.item_count
            then 'LA'
        when
            baskets.premium_items > baskets.value_items
            and 4 * baskets.premium_items >= baskets.item_count
            then 'UM'
        else 'MM'
    end as trip_price_sensitivity,
    case
        when
            baskets.category_count > bounds.many_categories
            and baskets.unit_count > bounds.many_units
            then 'Full Shop'
        when
            baskets.category_count > bounds.some_categories
            or baskets.unit_count > bounds.medium_units
            then 'Top Up'
        else 'Small Shop'
    end as trip_type,
    case
        when focuses.trip_key is null then 'XX'
        else coalesce(focuses.label, 'Mixed')
    end as trip_focus
from baskets
cross join bounds
left join focuses on baskets.trip_key = focuses.trip_key
