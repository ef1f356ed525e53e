{% macro spark__safe_cast(field, type) %}
    {#- In place of dbt-spark's: a list in a unit test is written as DuckDB writes it, `[1, 2]`. -#}
    {%- if type.startswith('array') and field is string -%}
    from_json({{ field }}, '{{ type }}')
    {%- else -%}
    cast({{ field }} as {{ type }})
    {%- endif -%}
{%- endmacro %}
