{% macro json_object(fields) %}
    {{- adapter.dispatch('json_object', 'retailsim')(fields) -}}
{% endmacro %}

{% macro default__json_object(fields) %}
    {#- A row's values as JSON text; `fields` maps names to columns, in order. Structs are built
        differently by each engine (Spark: named_struct). -#}
    to_json(struct_pack(
        {%- for name, column in fields.items() %}
        {{ name }} := {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    ))::varchar
{%- endmacro %}
