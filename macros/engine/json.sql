{% macro json_object(fields) %}
    {{- adapter.dispatch('json_object', 'retailsim')(fields) -}}
{% endmacro %}

{% macro default__json_object(fields) %}
    {#- A row's values as JSON text, nulls included; `fields` maps names to columns, in order. -#}
    to_json(struct_pack(
        {%- for name, column in fields.items() %}
        {{ name }} := {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    ))::string
{%- endmacro %}

{% macro spark__json_object(fields) %}
    to_json(
        named_struct(
            {%- for name, column in fields.items() %}
            {{ sql_string(name) }}, {{ column }}{{ ',' if not loop.last }}
            {%- endfor %}
        ),
        map('ignoreNullFields', 'false')
    )
{%- endmacro %}
