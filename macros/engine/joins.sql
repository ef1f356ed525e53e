{% macro left_join_last_before(relation, alias, left, keys, time) %}
    {{- adapter.dispatch('left_join_last_before', 'retailsim')(relation, alias, left, keys, time) -}}
{% endmacro %}

{% macro default__left_join_last_before(relation, alias, left, keys, time) %}
    {#- Join clause: to every row of `left` the row of `relation` with the same keys and the greatest
        time before its own, or nulls. Engines without such a join need a window over the earlier rows. -#}
    asof left join {{ relation }} as {{ alias }}
        on
            {%- for key in keys %}
            {{ left }}.{{ key }} = {{ alias }}.{{ key }}
            and
            {%- endfor %}
            {{ left }}.{{ time }} > {{ alias }}.{{ time }}
{%- endmacro %}
