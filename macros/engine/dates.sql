{% macro calendar_date(text) %}
    {{- adapter.dispatch('calendar_date', 'retailsim')(text) -}}
{% endmacro %}

{% macro default__calendar_date(text) %}
    {#- Text to a date, null where it is none. Engines name the function and the parts of a format
        differently, and not all try several formats at once. -#}
    try_strptime({{ text }}, ['%Y%m%d', '%Y-%m-%d', '%Y-%m-%d %H:%M:%S'])::date
{%- endmacro %}

{% macro days_between(first, last) %}
    {{- adapter.dispatch('days_between', 'retailsim')(first, last) -}}
{% endmacro %}

{% macro default__days_between(first, last) %}
    {#- Whole days from one date to another. The difference of two dates is a number on DuckDB and an
        interval on Spark. -#}
    ({{ last }} - {{ first }})
{%- endmacro %}

{% macro days_since_epoch(date) %}
    {#- Days since 1970-01-01, as the tensor cache counts days. -#}
    {{- days_between("date '1970-01-01'", date) -}}
{% endmacro %}

{% macro weekday(date) %}
    {{- adapter.dispatch('weekday', 'retailsim')(date) -}}
{% endmacro %}

{% macro default__weekday(date) %}
    {#- 1 (Sunday) to 7 (Saturday), as the raw data count. The function is called the same on Spark, but
        counts from 1 there and from 0 on DuckDB. -#}
    (dayofweek({{ date }}) + 1)
{%- endmacro %}
