{% macro raw_transactions(source_relation) %}
    {#
      SQL that selects every line of every transactions file as text: the contract's columns,
      `source_file`, `field_count` (fields found, null for a blank line), `expected_field_count`
      and `raw_text` (the line as in the file; null for Parquet).
      Row order is file order, then line order.
    #}
    {% set required = raw_transaction_columns() %}
    {% set files = raw_files(
        source_relation,
        if_none='Expected transactions*.csv, .csv.gz or .parquet. Set RETAILSIM_RAW to the folder that '
            ~ 'holds them, or make a synthetic chain: python -m dbt_project.sample'
    ) %}
    {% if not files %}
        select
            {%- for column in required %}
            null::varchar as {{ column }},
            {%- endfor %}
            null::varchar as source_file,
            null::integer as field_count,
            null::integer as expected_field_count,
            null::varchar as raw_text
        where false
    {% else %}
    {#- Files with the same columns are read together, one scan for a whole release: the same places
        in a CSV file, the same names in a Parquet file. -#}
    {% set groups = {} %}
    {% for file in files %}
        {% do check_columns(file, required) %}
        {% set columns = file.header | lower if file.kind == 'parquet' else file.columns | join(',') %}
        {% set group = file.kind ~ ':' ~ columns %}
        {% do groups.setdefault(group, []).append(file) %}
    {% endfor %}
    {% for group in groups.values() %}
        {% set paths = group | map(attribute='path') | list %}
        {% set columns = group[0].columns %}
        {% if group[0].kind == 'csv' %}
        select
            {%- for column in required %}
            nullif(trim(fields[{{ columns.index(column) + 1 }}]), '') as {{ column }},
            {%- endfor %}
            parse_filename(filename) as source_file,
            len(fields) as field_count,
            {{ columns | length }} as expected_field_count,
            line as raw_text
        from (
            {#- Quotes only enclose empty values in these files. A comma inside quotes would shift the
                fields, so such a line counts one field too many and is rejected, never misread. #}
            select line, filename, string_split(replace(line, '"', ''), ',') as fields
            from {{ raw_lines(paths, header=true) }}
        )
        {% else %}
        select
            {%- for column in required %}
            nullif(trim({{ parquet_column(group[0], column) }}::varchar), '') as {{ column }},
            {%- endfor %}
            parse_filename(filename) as source_file,
            {{ columns | length }} as field_count,
            {{ columns | length }} as expected_field_count,
            null::varchar as raw_text
        from read_parquet({{ sql_list(paths) }}, filename = true)
        {% endif %}
        {{ 'union all' if not loop.last }}
    {% endfor %}
    {% endif %}
{% endmacro %}

{% macro parquet_column(file, column) %}
    {# The name that the file itself gives to a column: the two releases call some differently. #}
    {%- do return('"' ~ file.header.split(',')[file.columns.index(column)] ~ '"') -%}
{% endmacro %}
