{% test share_in_range(model, condition, lowest=0, highest=1) %}
    {# The share of rows that fulfil the condition: a bound on the distribution, not on a row. Shares of
       fewer than a thousand rows say too little to stop a build. #}
    with shares as (
        select
            count(*) as rows_found,
            avg(coalesce({{ condition }}, false)::integer) as share
        from {{ model }}
    )

    select *
    from shares
    where rows_found >= 1000 and (share < {{ lowest }} or share > {{ highest }})
{% endtest %}
