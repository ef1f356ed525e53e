{{ config(materialized='weekly') }}

-- The as-of marts side by side. What they leave null (shares of a customer without trips) is 0.
{% set of_history = [
    'trips', 'history_weight', 'weeks_with_trips', 'recency_days', 'tenure_days',
    'gap_days_mean', 'gap_days_spread', 'spend_pence_per_trip', 'items_per_trip', 'units_per_item',
    'repeat_rate',
] %}
{% set of_missions = [
    'type_entropy', 'focus_entropy', 'price_sensitivity_mean', 'price_sensitivity_spread',
    'basket_size_mean', 'basket_size_spread', 'consistency',
] %}
{% set of_affinity = [
    'stores', 'regions', 'primary_store_share', 'top_3_store_share', 'store_hhi', 'switching_rate',
] %}
with history as (
    select * from {{ ref('customer_history') }}
),

missions as (
    select * from {{ ref('customer_missions') }}
),

affinity as (
    select * from {{ ref('customer_store_affinity') }}
),

departments as (
    select category_4
    from {{ ref('products') }}
    where not is_novel
    group by category_4
),

nothing_bought as (
    select {{ collect_in_order('0::double', 'category_4') }} as zeros
    from departments
),

labels as (
    select
        kind,
        code
    from {{ ref('int_kind_labels') }}
    union all
    -- Unclassified trips.
    select
        kind,
        max(code) + 1 as code
    from {{ ref('int_kind_labels') }}
    group by kind
),

no_trip as (
    select
        {{ collect_in_order('0::double', 'code', where="kind = 'type'") }} as by_type,
        {{ collect_in_order('0::double', 'code', where="kind = 'focus'") }} as by_focus
    from labels
)

select
    history.customer_key,
    history.as_of_week as week,
    {% for figure in of_history %}
        coalesce(history.{{ figure }}, 0) as {{ figure }},
    {% endfor %}
    {% for figure in of_missions %}
        coalesce(missions.{{ figure }}, 0) as {{ figure }},
    {% endfor %}
    {% for figure in of_affinity %}
        coalesce(affinity.{{ figure }}, 0) as {{ figure }},
    {% endfor %}
    coalesce(affinity.primary_store_key, 0) as primary_store_key,
    coalesce(history.category_shares, nothing_bought.zeros) as department_shares,
    coalesce(missions.type_shares, no_trip.by_type) as type_shares,
    coalesce(missions.focus_shares, no_trip.by_focus) as focus_shares
from history
inner join missions
    on
        history.customer_key = missions.customer_key
        and history.as_of_week = missions.as_of_week
inner join affinity
    on
        history.customer_key = affinity.customer_key
        and history.as_of_week = affinity.as_of_week
cross join nothing_bought
cross join no_trip
