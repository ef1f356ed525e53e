select
    store_key,
    store_code,
    store_format,
    store_region,
    first_week,
    first_week > {{ var('train_last_week') }} as is_novel
from {{ ref('int_stores') }}
order by store_key
