-- A file of predictions that was written for another chain has other codes.
select
    'RETAILSIM_PREDICTIONS: the file of predictions names the product '
    || any_value(predictions.product_code)
    || ', which is none of this chain. Predict anew, or name the right file.' as problem
from {{ ref('stg_predictions') }} as predictions
left join {{ ref('products') }} as products on predictions.product_code = products.product_code
where products.product_key is null
having count(*) > 0
