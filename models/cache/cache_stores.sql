with stores as (
    select * from {{ ref('stores') }}
),

weeks as (
    select
        week,
        split
    from {{ ref('weeks') }}
)

select
    stores.store_key,
    stores.store_code,
    stores.store_format,
    stores.store_region,
    stores.assortment_breadth,
    stores.trips_per_week,
    stores.items_per_week,
    stores.local_competition,
    stores.age_weeks,
    stores.is_novel,
    coalesce(weeks.split = 'train', false) as is_of_training
from stores
left join weeks on stores.first_week = weeks.week
