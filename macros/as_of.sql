{#
  Sums over a customer's earlier weeks, for tables with one row per customer (and store, or
  category) and week: under the window that `earlier_window` names, the row of week w adds up weeks
  < w, which is what "as of week w" means.
#}

{% macro sum_earlier(column, type='bigint') -%}
    coalesce(sum({{ column }}) over earlier, 0)::{{ type }}
{%- endmacro %}

{% macro earlier_window(partition='customer_key', week='week') -%}
    earlier as (
        partition by {{ partition }}
        order by {{ week }}
        rows between unbounded preceding and 1 preceding
    )
{%- endmacro %}

{% macro customer_weeks_to_sum() -%}
    {#- SQL: customers with the weeks that they have rows of, those that a weekly build keeps as one. -#}
    select
        customer_key,
        {{ before_changes('week') }} as week
    from {{ ref('int_customer_weeks') }}
    group by all
{%- endmacro %}

{% macro spread(count, total, total_of_squares, unit) -%}
    {#- Population standard deviation from exact sums, in units of 1/unit; null without values. -#}
    sqrt(({{ count }} * {{ total_of_squares }} - {{ total }} * {{ total }})::double)
    / nullif({{ count }}, 0) / {{ unit }}
{%- endmacro %}
