{% test share_in_range(model, condition, at_most=none, at_least=none) %}
    {# The share of rows that fulfil the condition: a bound on the distribution, not on a row, given as the
       name of a threshold of the layout. Shares of fewer than a thousand rows say too little to stop a
       build. #}
    with shares as (
        select
            count(*) as rows_found,
            avg(coalesce({{ condition }}, false)::integer) as share
        from {{ model }}
    )

    select *
    from shares
    where
        rows_found >= 1000
        and share {{ '> ' ~ threshold(at_most) if at_most else '< ' ~ threshold(at_least) }}
{% endtest %}
