-- Ranks go from 1 on without a gap, the likeliest product first, and the probabilities of a
-- customer add up to no more than the expected items; they are stored in single precision.
with ranked as (
    select
        customer_code,
        product_rank,
        probability,
        expected_items,
        row_number() over customer as place,
        lag(probability, 1, 1e0) over customer as previous_probability,
        sum(probability) over (partition by customer_code) as total
    from {{ ref('predictions') }}
    window customer as (partition by customer_code order by product_rank)
)

select
    customer_code,
    product_rank
from ranked
where
    product_rank != place
    or probability > previous_probability
    or total > expected_items * 1.0001
