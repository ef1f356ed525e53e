{% test dense_key(model, column_name) %}
    {# A dense key runs from 1 to the number of rows without a gap or a repeat. #}
    select
        min({{ column_name }}) as lowest,
        max({{ column_name }}) as highest,
        count(distinct {{ column_name }}) as keys,
        count(*) as rows_in_all
    from {{ model }}
    having
        count(*) > 0
        and (
            min({{ column_name }}) != 1
            or max({{ column_name }}) != count(*)
            or count(distinct {{ column_name }}) != count(*)
        )
{% endtest %}
