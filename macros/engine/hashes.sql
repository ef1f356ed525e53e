{#
  Differences between engines live in this folder: one dispatched macro per expression that not every
  engine has. `default__` is DuckDB's; a second engine adds `<adapter>__` beside it.
#}

{% macro row_hash(columns) %}
    {{- adapter.dispatch('row_hash', 'retailsim')(columns) -}}
{% endmacro %}

{% macro default__row_hash(columns) %}
    {#- One integer for several columns, nulls included. Engines hash differently (Spark: xxhash64), so
        values are compared within one build only and never reach a mart. -#}
    hash({{ columns | join(', ') }})
{%- endmacro %}
