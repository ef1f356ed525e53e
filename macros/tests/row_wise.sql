{% test row_wise(model, condition) %}
    {# Every row fulfils the condition; one that evaluates to null does not. #}
    select *
    from {{ model }}
    where not coalesce({{ condition }}, false)
{% endtest %}
