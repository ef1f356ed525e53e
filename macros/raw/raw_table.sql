{% macro raw_table(name, columns) %}
    {#-
      A FROM clause: the Parquet file <name>.parquet of the raw folder, for layouts whose files have fixed
      names; see `typed_parquet`. A file that is missing stops the build.
    -#}
    {%- do source(layout_name(), name) -%}{#- for the lineage graph -#}
    {%- if not execute or target.name == 'lint' -%}
        {{ no_rows(columns) }}
    {%- else -%}
        {%- set folder = env_var('RETAILSIM_RAW', 'raw_data') -%}
        {%- set path = folder.rstrip('/') ~ '/' ~ name ~ '.parquet' -%}
        {%- if not is_file(path) -%}
            {%- do raw_error('no ' ~ name ~ '.parquet in the folder ' ~ folder ~ '. Set RETAILSIM_RAW to the folder '
                ~ 'of the layout ' ~ layout().name ~ ', or choose another layout.') -%}
        {%- endif -%}
        {{ typed_parquet(path, columns) }}
    {%- endif -%}
{%- endmacro %}

{% macro typed_parquet(path, columns) %}
    {#-
      A FROM clause: a Parquet file. `columns` maps the columns needed to a kind of type, see
      `kinds_of_types`; one that is missing or of another kind stops the build. Rows have
      `file_row_number` from 0.
    -#}
    {%- set file = {'path': path} -%}
    {%- do inspect_parquet([file]) -%}
    {%- for column, kind in columns.items() -%}
        {%- if column not in file.names -%}
            {%- do raw_error(path ~ ': column ' ~ column ~ ' missing. Found: ' ~ (file.names | join(', '))[:400] ~ '.') -%}
        {%- elif not modules.re.fullmatch(kinds_of_types()[kind][0], file.types[file.names.index(column)]) -%}
            {%- do raw_error(path ~ ': column ' ~ column ~ ' is of type '
                ~ file.types[file.names.index(column)] ~ '. Expected a ' ~ kind ~ '.') -%}
        {%- endif -%}
    {%- endfor -%}
    {{ typed_parquet_rows(file) }}
{%- endmacro %}

{% macro typed_parquet_rows(file) %}
    {{- adapter.dispatch('typed_parquet_rows', 'retailsim')(file) -}}
{% endmacro %}

{% macro default__typed_parquet_rows(file) %}
    read_parquet({{ raw_paths([file]) }}, file_row_number = true, hive_partitioning = false)
{%- endmacro %}

{% macro spark__typed_parquet_rows(file) %}
    (
        select
            *,
            _metadata.row_index as file_row_number
        from parquet.{{ spark_paths([file]) }}
    ) as rows_read
{%- endmacro %}

{% macro no_rows(columns) %}
    {#- A FROM clause with the columns of `typed_parquet` and nothing in it. -#}
    (
        select {% for column, kind in columns.items() %}null::{{ kinds_of_types()[kind][1] }} as {{ column }}, {% endfor %}0 as file_row_number
        where false
    )
{%- endmacro %}

{% macro kinds_of_types() %}
    {#- Kind of a column -> the types that it may have in a file, and one of them. -#}
    {%- do return({
        'whole number': ('U?(TINY|SMALL|BIG)INT|U?INTEGER', 'bigint'),
        'number': ('.*INT|INTEGER|FLOAT|DOUBLE|DECIMAL.*', 'double'),
        'text': ('VARCHAR', 'string'),
        'time': ('TIMESTAMP(_S|_MS|_NS)?|DATE', 'timestamp'),
        'flag': ('BOOLEAN', 'boolean'),
    }) -%}
{% endmacro %}

{% macro is_file(path) %}
    {%- do return(folder_now(path).is_file) -%}
{% endmacro %}
