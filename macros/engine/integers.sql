{% macro wide_integer() %}
    {{- adapter.dispatch('wide_integer', 'retailsim')() -}}
{% endmacro %}

{% macro default__wide_integer() %}
    {#- A type for exact sums beyond 64 bits. Only DuckDB has a 128 bit integer; elsewhere it would be
        a decimal of 38 digits. -#}
    hugeint
{%- endmacro %}

{% macro row_position() %}
    {{- adapter.dispatch('row_position', 'retailsim')() -}}
{% endmacro %}

{% macro default__row_position() %}
    {#- Position of a row in its table, from 0, in the order in which it was written. DuckDB keeps that
        order; an engine that does not must number the lines while it reads them. -#}
    rowid
{%- endmacro %}
