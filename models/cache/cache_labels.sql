select
    kind,
    code,
    label
from {{ ref('int_kind_labels') }}
