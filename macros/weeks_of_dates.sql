{% macro weeks_of_dates(relation) %}
    {#- SQL: a calendar of Monday-to-Sunday weeks from the first date of receipts to the last, for sources
        without one. -#}
    with dates as (
        select
            {{ monday('min(shop_date)') }} as first_day,
            {{ monday('max(shop_date)') }} as last_day
        from {{ relation }}
    ),

    mondays as (
        select {{ dates_from_to('first_day', 'last_day', 7) }} as date_from
        from dates
        where first_day is not null
    )

    select
        row_number() over (order by date_from)::smallint as week,
        {{ iso_week('date_from') }}::integer as shop_week,
        date_from,
        date_from + 6 as date_to
    from mondays
    order by week
{%- endmacro %}
