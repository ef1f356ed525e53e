{% macro raw_totals() %}
    {#
      SQL: rows and pence of each file of receipts (`source_file`, `rows_in_file`, `pence_in_file`; null
      where not counted) by another way than staging's.
    #}
    {%- if layout_name() == 'complete_journey' -%}
        {{ raw_totals_of_complete_journey() }}
    {%- elif layout_name() == 'lgsr' -%}
        {{ raw_totals_of_lgsr() }}
    {%- else -%}
        {{ raw_totals_of_order_lines() }}
    {%- endif -%}
{% endmacro %}

{% macro raw_totals_of_complete_journey() %}
    select
        'transactions.parquet' as source_file,
        count(*) as rows_in_file,
        round(
            100 * sum(cast(sales_value as decimal(18, 2)) + cast(coupon_match_disc as decimal(18, 2)))
        )::bigint as pence_in_file
    from {{ raw_table('transactions', {'sales_value': 'number', 'coupon_match_disc': 'number'}) }}
{% endmacro %}

{% macro raw_totals_of_lgsr() %}
    {#
      Parquet files are read one at a time and in their own types; of CSV files the pence alone are
      counted, from one field of each line, however the lines end. Spend that is not in whole pence
      or too large counts nothing, as in staging.
    #}
    {% set files = raw_files('transactions') %}
    {% set csv = files | selectattr('format', 'equalto', 'csv') | list %}
    {% set parquet = files | selectattr('format', 'equalto', 'parquet') | list %}
    {% if parquet %}{% do inspect_parquet(parquet) %}{% endif %}
    {% if csv %}{% do read_csv_headers(csv) %}{% endif %}
    {% for file in parquet %}
        {% set place = file.columns.index('spend') %}
        select
            {{ sql_string(file.name) }} as source_file,
            count(*) as rows_in_file,
            sum({{ typed_pence('c' ~ place, file.types[place]) }})::bigint as pence_in_file
        from {{ parquet_rows([file]) }}
        union all
    {% endfor %}
    {% for packed, same in csv | groupby('packed') %}{% for columns, group in same | groupby('columns') %}
        {#- A field that is pounds, in quotation marks or not. -#}
        {% set pounds = '[+-]?[0-9]+(?:\\.[0-9]{1,2}0*)?' %}
        {% set blanks = '[\\s\\x{a0}]*' %}
        {% set field = '^(?:[^,]*,){' ~ columns.index('spend') ~ '}' ~ blanks
            ~ '("' ~ blanks ~ pounds ~ blanks ~ '"|' ~ pounds ~ ')' ~ blanks ~ '(?:,|$)' %}
        select
            {{ file_name('filename') }} as source_file,
            null::bigint as rows_in_file,
            sum({{ small_pence("try_cast(case when left(field, 1) = '\"' then regexp_extract(field, '[^\\s\\x{a0}\"]+', 0) else field end as decimal(10, 2))") }})::bigint as pence_in_file
        from (
            select filename, regexp_extract(line, {{ sql_string(field) }}, 1) as field
            from {{ raw_lines(group) }} as raw_lines
        ) as fields
        group by filename
        union all
    {% endfor %}{% endfor %}
    select null::string, null::bigint, null::bigint where false
{% endmacro %}

{% macro typed_pence(spend, type) -%}
    {#- Pounds of a DuckDB type to pence. -#}
    {%- if type in ('FLOAT', 'DOUBLE') -%}
    case
        when
            abs({{ spend }}) < {{ float_limit(type, is_pounds=true) }}
            and (round({{ spend }}::double * 100) / 100)::{{ type }} = {{ spend }}
            then {{ small_pence('try_cast(' ~ spend ~ ' as decimal(10, 2))') }}
    end
    {%- elif type.startswith('DECIMAL') or type.endswith(('INT', 'INTEGER')) -%}
    case
        when try_cast({{ spend }} as decimal(10, 2)) = {{ spend }}
            then {{ small_pence('try_cast(' ~ spend ~ ' as decimal(10, 2))') }}
    end
    {%- else -%}
    {%- set text = raw_trimmed(spend ~ '::string') -%}
    case
        when {{ is_pounds(text) }} then {{ small_pence('try_cast(' ~ text ~ ' as decimal(10, 2))') }}
    end
    {%- endif -%}
{%- endmacro %}

{% macro small_pence(pounds) -%}
    {#- Pence that fit an integer; null otherwise. -#}
    try_cast({{ pounds }} * 100 as integer)
{%- endmacro %}
