-- Stores without a trip in the training weeks have the medians of their format and region, else of
-- their format, else of the chain.
{% set figures = [
    'assortment_breadth', 'trips_per_week', 'items_per_week', 'local_competition'
] %}
with stores as (
    select * from {{ ref('int_stores') }}
),

statics as (
    select * from {{ ref('int_store_statics') }}
),

of_format_and_region as (
    select
        store_format,
        store_region,
        {% for figure in figures %}
            median({{ figure }}) as {{ figure }},
        {% endfor %}
        count(*) as stores
    from statics
    group by store_format, store_region
),

of_format as (
    select
        store_format,
        {% for figure in figures %}
            median({{ figure }}) as {{ figure }},
        {% endfor %}
        count(*) as stores
    from statics
    group by store_format
),

of_chain as (
    select
        {% for figure in figures %}
            median({{ figure }}) as {{ figure }},
        {% endfor %}
        count(*) as stores
    from statics
)

select
    stores.store_key,
    stores.store_code,
    stores.store_format,
    stores.store_region,
    case
        when statics.store_key is not null then 'store'
        when of_format_and_region.store_format is not null then 'format and region'
        when of_format.store_format is not null then 'format'
        else 'chain'
    end as statics_basis,
    stores.first_week,
    {% for figure in figures %}
        coalesce(
            statics.{{ figure }},
            of_format_and_region.{{ figure }},
            of_format.{{ figure }},
            of_chain.{{ figure }}
        ) as {{ figure }},
    {% endfor %}
    coalesce(statics.age_weeks, 0) as age_weeks,
    stores.first_week > {{ train_last_week() }} as is_novel
from stores
left join statics on stores.store_key = statics.store_key
left join of_format_and_region
    on
        stores.store_format = of_format_and_region.store_format
        and stores.store_region = of_format_and_region.store_region
left join of_format on stores.store_format = of_format.store_format
cross join of_chain
order by stores.store_key
