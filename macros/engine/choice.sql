{% macro first_by(value, position) %}
    {{- adapter.dispatch('first_by', 'retailsim')(value, position) -}}
{% endmacro %}

{% macro default__first_by(value, position) %}
    {#- Aggregate: the value of the row with the lowest position, null where it is null there. min_by is
        portable but skips rows with a null value on DuckDB. -#}
    first({{ value }} order by {{ position }})
{%- endmacro %}

{% macro spark__first_by(value, position) %}
    min_by({{ value }}, {{ position }})
{%- endmacro %}
