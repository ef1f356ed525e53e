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

{% macro entropy_of_list(counts, total) %}
    {{- adapter.dispatch('entropy_of_list', 'retailsim')(counts, total) -}}
{% endmacro %}

{% macro default__entropy_of_list(counts, total) %}
    {#- Shannon entropy in nats of a list of counts that add up to a total: sum p ln(1 / p), where
        0 ln(1 / 0) is 0. Added up in the order of the list, so that the last bits are always the same. -#}
    list_sum(list_transform(
        {{ counts }},
        lambda c: case when c > 0 then c / {{ total }} * ln({{ total }} / c) else 0 end
    ))
{%- endmacro %}
