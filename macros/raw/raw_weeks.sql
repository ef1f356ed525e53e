{% macro raw_weeks(source_relation) %}
    {#
      SQL that selects the lines of time.csv as text: shop_week, date_from, date_to.
      The calendar numbers every week of the chain, so a line that cannot be read stops the build.
    #}
    {% set required = ['shop_week', 'date_from', 'date_to'] %}
    {% set files = raw_files(
        source_relation,
        if_none='It lists the weeks, one a line: shop_week,date_from,date_to (200607,20060410,20060416).'
    ) %}
    {% if not files %}
        select null::varchar as shop_week, null::varchar as date_from, null::varchar as date_to
        where false
    {% else %}
        {% set file = files[0] %}
        {% do check_columns(file, required) %}
        {% set lines %}
            select
                {%- for column in required %}
                nullif(trim(fields[{{ file.columns.index(column) + 1 }}]), '') as {{ column }},
                {%- endfor %}
                line
            from (
                select line, string_split(replace(line, '"', ''), ',') as fields
                from {{ raw_lines([file.path], header=true) }}
            )
        {% endset %}
        {% set unreadable = run_query(
            'select line from (' ~ lines ~ ') where line is not null and ('
            ~ whole_number('shop_week', 'integer') ~ ' is null or '
            ~ calendar_date('date_from') ~ ' is null or ' ~ calendar_date('date_to') ~ ' is null or '
            ~ calendar_date('date_from') ~ ' > ' ~ calendar_date('date_to') ~ ') limit 1'
        ) %}
        {% if unreadable.rows %}
            {% do raw_error(file.path ~ ': cannot read the line "' ~ unreadable.rows[0][0]
                ~ '". Expected a week number and two dates, the first not after the second, like '
                ~ '200607,20060410,20060416.') %}
        {% endif %}
        select {{ required | join(', ') }} from ({{ lines }}) where line is not null
    {% endif %}
{% endmacro %}
