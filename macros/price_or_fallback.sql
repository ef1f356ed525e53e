{% macro price_or_fallback(relation) %}
    {#
      The price of a product at a store in a week, sold there or not: SQL that selects the columns of
      `relation` (which has product_key, store_key and week) with `price_pence` and
      `imputation_level`, the first of
        observed | stable      sold there that week (stable: sold by weight)
        region                 the week's median over stores of the region
        store                  the last price at the store
        product | category_*  the product's median of the training weeks, or its category's
      Joins only: nothing is computed for prices that are not requested. No level reads a later week,
      except the last, which is static. The order is that of the errors measured on held-out prices
      (docs/decisions.md).
    #}
    select
        wanted.*,
        coalesce(
            prices.actual_price_pence,
            region.price_pence,
            store.actual_price_pence,
            product.price_pence
        ) as price_pence,
        case
            when prices.actual_price_pence is not null then prices.imputation_level
            when region.price_pence is not null then 'region'
            when store.actual_price_pence is not null then 'store'
            else product.price_basis
        end as imputation_level
    from {{ relation }} as wanted
    inner join {{ ref('stores') }} as stores on wanted.store_key = stores.store_key
    left join {{ ref('prices') }} as prices
        on
            wanted.product_key = prices.product_key
            and wanted.store_key = prices.store_key
            and wanted.week = prices.week
    left join {{ ref('price_fallbacks_region') }} as region
        on
            wanted.product_key = region.product_key
            and stores.store_region = region.store_region
            and wanted.week = region.week
    {{ left_join_last_before(
        ref('prices'), 'store', left='wanted', keys=['product_key', 'store_key'], time='week'
    ) }}
    left join {{ ref('price_fallbacks_product') }} as product
        on wanted.product_key = product.product_key
{% endmacro %}
