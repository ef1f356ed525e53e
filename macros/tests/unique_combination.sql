{% test unique_combination(model, columns) %}
    {# The grain of a model: no two rows agree on all these columns. #}
    select
        {{ columns | join(', ') }},
        count(*) as rows_found
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}
