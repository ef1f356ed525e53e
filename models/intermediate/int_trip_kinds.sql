{{ config(materialized='weekly') }}

-- Size, type, focus and price sensitivity of trips whose source has none: from their baskets, with
-- bounds that the training weeks set. Why these rules: docs/kinds.md.
with trips as (
    select
        trip_key,
        week
    from {{ ref('int_baskets') }}
    where reject_reason is null and basket_size is null and {{ changed_since('week') }}
),

items as (
    select items.*
    from {{ ref('int_items') }} as items
    inner join trips on items.trip_key = trips.trip_key
    where {{ changed_since('items.week') }}
),

bounds as (
    select * from {{ ref('int_kind_bounds') }}
),

products as (
    select
        products.product_key,
        products.category_4,
        dense_rank() over (
            order by
                case
                    when bounds.has_level_4 then products.category_4
                    when bounds.has_level_3 then products.category_3
                    when bounds.has_level_2 then products.category_2
                    when bounds.has_level_1 then products.category_1
                    else products.product_code
                end
        ) as category,
        positions.price_position
    from {{ ref('int_products') }} as products
    cross join bounds
    left join {{ ref('int_price_positions') }} as positions
        on products.product_key = positions.product_key
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
    baskets.week,
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
