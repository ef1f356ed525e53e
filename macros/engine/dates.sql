{% macro calendar_date(text) %}
    {{- adapter.dispatch('calendar_date', 'retailsim')(text) -}}
{% endmacro %}

{% macro default__calendar_date(text) %}
    {#- Text to a date, null where it is none: 20060413 or 2006-04-13, also as a float or a timestamp
        would show them. Engines name the function and the parts of a format differently; DuckDB's also
        takes 2006-4-13 and 2006041. -#}
    case
        when {{ matches(text, '[0-9]{8}(\\.0+)?') }}
            then try_strptime(left({{ text }}, 8), '%Y%m%d')::date
        when {{ matches(text, '[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?)?') }}
            then try_strptime(left({{ text }}, 10), '%Y-%m-%d')::date
    end
{%- endmacro %}

{% macro spark__calendar_date(text) %}
    case
        when {{ matches(text, '[0-9]{8}(\\.0+)?') }}
            then cast(try_to_timestamp(left({{ text }}, 8), 'yyyyMMdd') as date)
        when {{ matches(text, '[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?)?') }}
            then cast(try_to_timestamp(left({{ text }}, 10), 'yyyy-MM-dd') as date)
    end
{%- endmacro %}

{% macro days_between(first, last) %}
    {{- adapter.dispatch('days_between', 'retailsim')(first, last) -}}
{% endmacro %}

{% macro default__days_between(first, last) %}
    {#- Whole days from one date to another. The difference of two dates is a number on DuckDB and an
        interval on Spark. -#}
    ({{ last }} - {{ first }})
{%- endmacro %}

{% macro spark__days_between(first, last) %}
    datediff({{ last }}, {{ first }})
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

{% macro spark__weekday(date) %}
    dayofweek({{ date }})
{%- endmacro %}

{% macro iso_week(date) %}
    {{- adapter.dispatch('iso_week', 'retailsim')(date) -}}
{% endmacro %}

{% macro default__iso_week(date) %}
    {#- Year and week of ISO 8601 as one number, 201701. Spark has no isoyear, but yearofweek. -#}
    (isoyear({{ date }}) * 100 + week({{ date }}))
{%- endmacro %}

{% macro spark__iso_week(date) %}
    (extract(yearofweek from {{ date }}) * 100 + weekofyear({{ date }}))
{%- endmacro %}

{% macro monday(date) %}
    {#- The Monday of a date's week. -#}
    date_trunc('week', {{ date }})::date
{%- endmacro %}

{% macro dates_from_to(first, last, days) %}
    {{- adapter.dispatch('dates_from_to', 'retailsim')(first, last, days) -}}
{% endmacro %}

{% macro default__dates_from_to(first, last, days) %}
    {#- A row for every so many days from one date to another, both included. -#}
    unnest(generate_series({{ first }}, {{ last }}, interval '{{ days }} days'))::date
{%- endmacro %}

{% macro spark__dates_from_to(first, last, days) %}
    explode(sequence({{ first }}, {{ last }}, interval '{{ days }} days'))
{%- endmacro %}

{% macro local_time(stamp, zone) %}
    {{- adapter.dispatch('local_time', 'retailsim')(stamp, zone) -}}
{% endmacro %}

{% macro default__local_time(stamp, zone) %}
    {#- A timestamp of UTC as clocks showed it in a time zone. -#}
    (({{ stamp }} at time zone 'UTC') at time zone {{ sql_string(zone) }})
{%- endmacro %}

{% macro spark__local_time(stamp, zone) %}
    from_utc_timestamp({{ stamp }}, {{ sql_string(zone) }})
{%- endmacro %}

{% macro iso_timestamp(text) %}
    {{- adapter.dispatch('iso_timestamp', 'retailsim')(text) -}}
{% endmacro %}

{% macro default__iso_timestamp(text) %}
    {#- Text to a timestamp, null where it is none: 20060413 or 2006-04-13, a time of day may follow
        (2006-04-13 20:15, 2006-04-13T20:15:00.5). A cast alone would also take 2006-4-13, and
        24:00 for the next day. -#}
    case
        when {{ matches(text, '[0-9]{8}(\\.0+)?') }} then try_strptime(left({{ text }}, 8), '%Y%m%d')
        when {{ matches(text, '[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]([01][0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?)?') }}
            then try_cast({{ text }} as timestamp)
    end
{%- endmacro %}

{% macro spark__iso_timestamp(text) %}
    case
        when {{ matches(text, '[0-9]{8}(\\.0+)?') }} then try_to_timestamp(left({{ text }}, 8), 'yyyyMMdd')
        when {{ matches(text, '[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]([01][0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?)?') }}
            then try_cast({{ text }} as timestamp)
    end
{%- endmacro %}

{% macro timestamp_as(text, format, pattern) %}
    {{- adapter.dispatch('timestamp_as', 'retailsim')(text, format, pattern) -}}
{% endmacro %}

{% macro default__timestamp_as(text, format, pattern) %}
    {#- Text in a format of Python's strptime to a timestamp, null where it does not match the pattern or is
        none. -#}
    case when {{ matches(text, pattern) }} then try_strptime({{ text }}, {{ sql_string(format) }}) end
{%- endmacro %}

{% macro spark__timestamp_as(text, format, pattern) %}
    {#- A single letter of Java's stands for one digit or two, but not where another number follows at
        once. A year of two digits lies between 1969 and 2068 for strptime, and from 2000 on for Java. -#}
    {%- set letters = {
        'd': 'd', 'm': 'M', 'Y': 'yyyy', 'y': 'yy', 'H': 'H', 'I': 'h', 'M': 'mm', 'S': 'ss', 'p': 'a',
        'b': 'MMM', 'B': 'MMMM',
    } -%}
    {%- set parts = [] -%}
    {%- for directive, digits, literal in modules.re.findall('%(.)(?=(%[dmYyHIMS])?)|([^%]+)', format) -%}
        {%- if directive -%}
            {%- set letter = letters[directive] -%}
            {%- do parts.append(letter * 2 if digits and letter | length == 1 else letter) -%}
        {%- elif modules.re.search("[A-Za-z'{}#]|\\[|\\]", literal) -%}
            {%- do parts.append("'" ~ literal | replace("'", "''") ~ "'") -%}
        {%- else -%}
            {%- do parts.append(literal) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set stamp = 'try_to_timestamp(' ~ text ~ ', ' ~ sql_string(parts | join) ~ ')' -%}
    {%- if '%y' in format -%}
        {%- set stamp = stamp ~ ' - case when year(' ~ stamp ~ ") > 2068 then interval '100' year else interval '0' year end" -%}
    {%- endif -%}
    case when {{ matches(text, pattern) }} then {{ stamp }} end
{%- endmacro %}
