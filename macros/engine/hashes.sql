{#
  Differences between engines live in this folder: one dispatched macro per expression that not every
  engine has. `default__` is DuckDB's, `spark__` beside it Spark's.
#}

{% macro row_hash(columns) %}
    {{- adapter.dispatch('row_hash', 'retailsim')(columns) -}}
{% endmacro %}

{% macro default__row_hash(columns) %}
    {#- One integer for several columns, nulls included. Engines hash differently (Spark: xxhash64), so
        values are compared within one build only and never reach a mart. -#}
    hash({{ columns | join(', ') }})
{%- endmacro %}

{% macro spark__row_hash(columns) %}
    {#- Nulls are skipped when it hashes, so each column also says whether it is one. -#}
    xxhash64(
        {%- for column in columns -%}
        {{ column }}, {{ column }} is null{{ ', ' if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}
