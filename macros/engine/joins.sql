{% macro left_join_last_before(relation, alias, left, keys, time) %}
    {{- adapter.dispatch('left_join_last_before', 'retailsim')(relation, alias, left, keys, time) -}}
{% endmacro %}

{% macro default__left_join_last_before(relation, alias, left, keys, time) %}
    {#- Join clause: to every row of `left` the row of `relation` with the same keys and the greatest
        time before its own, or nulls. -#}
    asof left join {{ relation }} as {{ alias }}
        on
            {%- for key in keys %}
            {{ left }}.{{ key }} = {{ alias }}.{{ key }}
            and
            {%- endfor %}
            {{ left }}.{{ time }} > {{ alias }}.{{ time }}
{%- endmacro %}

{% macro spark__left_join_last_before(relation, alias, left, keys, time) %}
    {#- Each row stands from its time to the next one's. -#}
    left join (
        select
            *,
            lead({{ time }}) over (partition by {{ keys | join(', ') }} order by {{ time }}) as next_{{ time }}
        from {{ relation }}
    ) as {{ alias }}
        on
            {%- for key in keys %}
            {{ left }}.{{ key }} = {{ alias }}.{{ key }}
            and
            {%- endfor %}
            {{ left }}.{{ time }} > {{ alias }}.{{ time }}
            and ({{ alias }}.next_{{ time }} is null or {{ left }}.{{ time }} <= {{ alias }}.next_{{ time }})
{%- endmacro %}
