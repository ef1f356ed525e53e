{% macro raw_weeks() %}
    {#
      SQL that selects the lines of time.csv as text: shop_week, date_from, date_to.
      The calendar numbers every week of the chain, so a line that cannot be read stops the build.
    #}
    {% do source('raw', 'time') %}{# for the lineage graph #}
    {% set required = ['shop_week', 'date_from', 'date_to'] %}
    {% set files = raw_files('calendar') %}
    {% if not files %}
        select null::string as shop_week, null::string as date_from, null::string as date_to
        where false
    {% else %}
        {% set lines = csv_fields(raw_groups(files, required)[0], required) %}
        {#- Of a week of many years, as a mistyped one makes, an export would count every day. -#}
        {% set unreadable = run_query(
            'select line from (' ~ lines ~ ') as calendar where line is not null and (line_fault is not null or '
            ~ whole_number('shop_week', 'integer') ~ ' is null or '
            ~ calendar_date('date_from') ~ ' is null or ' ~ calendar_date('date_to') ~ ' is null or '
            ~ days_between(calendar_date('date_from'), calendar_date('date_to')) ~ ' not between 0 and 30) limit 1'
        ) %}
        {% if unreadable.rows %}
            {% do raw_error(files[0].path ~ ': cannot read the line "' ~ unreadable.rows[0][0]
                ~ '". Expected a week number and two dates, the first not after the second and less than '
                ~ 'a month before it, like 200607,20060410,20060416.') %}
        {% endif %}
        select {{ required | join(', ') }} from ({{ lines }}) as calendar where line is not null
    {% endif %}
{% endmacro %}
