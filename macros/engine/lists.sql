{% macro collect_in_order(value, position) %}
    {{- adapter.dispatch('collect_in_order', 'retailsim')(value, position) -}}
{% endmacro %}

{% macro default__collect_in_order(value, position) %}
    {#- Aggregate: the values of a group as a list in the order of another column. Not every engine
        sorts inside an aggregate. -#}
    array_agg({{ value }} order by {{ position }})
{%- endmacro %}

{% macro divide_list(list, divisor) %}
    {{- adapter.dispatch('divide_list', 'retailsim')(list, divisor) -}}
{% endmacro %}

{% macro default__divide_list(list, divisor) %}
    {#- Every element over one number, as doubles. Engines differ in the name of the function and in how
        they write a lambda. -#}
    list_transform({{ list }}, lambda element: (element / {{ divisor }})::double)
{%- endmacro %}
