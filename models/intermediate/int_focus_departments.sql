{{ config(materialized='of_training') }}

-- What departments count as in the focus of a basket, where the source has no kinds of trip. What
-- the layout says, and as nothing where it leaves a department out; or, if it says nothing, as
-- themselves: the departments with most spend in the training weeks, all others as Mixed.
{% set labels = layout().focus_of_department %}
{% if labels %}
    {% for department, label in labels.items() %}
        select
            {{ sql_string(department) }} as category_4,
            {{ sql_string(label) }} as label
        {{ 'union all' if not loop.last }}
    {% endfor %}
{% else %}
    with trips as (
        select trip_key
        from {{ ref('int_baskets') }}
        where reject_reason is null and trip_focus is null and week <= {{ train_last_week() }}
    ),

    spend as (
        select
            products.category_4,
            sum(items.spend_pence) as spend_pence
        from {{ ref('int_items') }} as items
        inner join trips on items.trip_key = trips.trip_key
        inner join {{ ref('int_products') }} as products on items.product_key = products.product_key
        group by products.category_4
    ),

    ranked as (
        select
            category_4,
            row_number() over (order by spend_pence desc, category_4 asc) as place
        from spend
    )

    select
        category_4,
        case when place <= 7 then category_4 else 'Mixed' end as label
    from ranked
{% endif %}
