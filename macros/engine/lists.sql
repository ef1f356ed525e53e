{% macro collect_in_order(value, position, where='true') %}
    {{- adapter.dispatch('collect_in_order', 'retailsim')(value, position, where) -}}
{% endmacro %}

{% macro default__collect_in_order(value, position, where) %}
    {#- Aggregate: the values of a group's rows that fulfil a condition, as a list in the order of another
        column. Spark does not sort inside an aggregate. -#}
    array_agg({{ value }} order by {{ position }}){{ ' filter (where ' ~ where ~ ')' if where != 'true' }}
{%- endmacro %}

{% macro spark__collect_in_order(value, position, where) %}
    transform(
        array_sort(collect_list(named_struct('position', {{ position }}, 'value', {{ value }})) filter (where {{ where }})),
        element -> element.value
    )
{%- endmacro %}

{% macro new_list(elements) %}
    {{- adapter.dispatch('new_list', 'retailsim')(elements) -}}
{% endmacro %}

{% macro default__new_list(elements) %}
    {#- A list of expressions. -#}
    [{{ elements | join(', ') }}]
{%- endmacro %}

{% macro spark__new_list(elements) %}
    array({{ elements | join(', ') }})
{%- endmacro %}

{% macro rows_of_list(list) %}
    {{- adapter.dispatch('rows_of_list', 'retailsim')(list) -}}
{% endmacro %}

{% macro default__rows_of_list(list) %}
    {#- In a select list: a row for every element. -#}
    unnest({{ list }})
{%- endmacro %}

{% macro spark__rows_of_list(list) %}
    explode({{ list }})
{%- endmacro %}

{% macro each_in_a_task(rows, name, number) %}
    {{- return(adapter.dispatch('each_in_a_task', 'retailsim')(rows, name, number)) -}}
{% endmacro %}

{% macro default__each_in_a_task(rows, name, number) -%}
    {#- A FROM clause: rows by their name, which a function of Python is called with one by one. On Spark in
        several tasks, of as many rows as there are. -#}
    (select {{ rows }} as {{ name }})
{%- endmacro %}

{% macro spark__each_in_a_task(rows, name, number) -%}
    (select /*+ repartition({{ [number, env_var('RETAILSIM_SPARK_PARTITIONS', '4') | int] | min }}) */ {{ rows }} as {{ name }})
{%- endmacro %}

{% macro length_of_list(list) %}
    {{- adapter.dispatch('length_of_list', 'retailsim')(list) -}}
{% endmacro %}

{% macro default__length_of_list(list) %}
    {#- Elements of a list. -#}
    len({{ list }})
{%- endmacro %}

{% macro spark__length_of_list(list) %}
    array_size({{ list }})
{%- endmacro %}

{% macro element_of_list(list, place) %}
    {{- adapter.dispatch('element_of_list', 'retailsim')(list, place) -}}
{% endmacro %}

{% macro default__element_of_list(list, place) %}
    {#- The element at a place, from 1; null beyond the end. Brackets count from 0 on Spark. -#}
    {{ list }}[{{ place }}]
{%- endmacro %}

{% macro spark__element_of_list(list, place) %}
    try_element_at({{ list }}, {{ place }})
{%- endmacro %}

{% macro each_of_list(list, name, expression) %}
    {{- adapter.dispatch('each_of_list', 'retailsim')(list, name, expression) -}}
{% endmacro %}

{% macro default__each_of_list(list, name, expression) %}
    {#- What an expression makes of each element, which it calls `name`. Engines write lambdas
        differently. -#}
    list_transform({{ list }}, lambda {{ name }}: {{ expression }})
{%- endmacro %}

{% macro spark__each_of_list(list, name, expression) %}
    transform({{ list }}, {{ name }} -> {{ expression }})
{%- endmacro %}

{% macro joined_list(list, delimiter) %}
    {{- adapter.dispatch('joined_list', 'retailsim')(list, delimiter) -}}
{% endmacro %}

{% macro default__joined_list(list, delimiter) %}
    {#- The texts of a list, with a separator between them. -#}
    array_to_string({{ list }}, {{ sql_string(delimiter) }})
{%- endmacro %}

{% macro spark__joined_list(list, delimiter) %}
    array_join({{ list }}, {{ sql_string(delimiter) }})
{%- endmacro %}

{% macro sum_of_list(list) %}
    {{- adapter.dispatch('sum_of_list', 'retailsim')(list) -}}
{% endmacro %}

{% macro default__sum_of_list(list) %}
    {#- Of doubles, added up in the order of the list, so that the last bits are always the same. -#}
    list_sum({{ list }})
{%- endmacro %}

{% macro spark__sum_of_list(list) %}
    aggregate({{ list }}, 0e0, (total, element) -> total + element)
{%- endmacro %}

{% macro divide_list(list, divisor) -%}
    {#- Every element over one number, as doubles. -#}
    {{ each_of_list(list, 'element', '(element / ' ~ divisor ~ ')::double') }}
{%- endmacro %}

{% macro entropy_of_list(counts, total) -%}
    {#- Shannon entropy in nats of a list of counts that add up to a total: sum p ln(1 / p), where
        0 ln(1 / 0) is 0. -#}
    {{ sum_of_list(each_of_list(
        counts, 'c', 'case when c > 0 then c / ' ~ total ~ ' * ln(' ~ total ~ ' / c) else 0e0 end'
    )) }}
{%- endmacro %}
