-- Nodes count from 0: rows of products, then of categories.
select
    source_key - 1 as source,
    target_key - 1 as target,
    {{ code_of(
        'edge_type', ['copurchase', 'substitution', 'hierarchy'], first=0, other='null'
    ) }}::tinyint as type,
    weight
from {{ ref('product_graph_edges') }}
