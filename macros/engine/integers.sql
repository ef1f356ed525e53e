{% macro wide_integer() %}
    {{- adapter.dispatch('wide_integer', 'retailsim')() -}}
{% endmacro %}

{% macro default__wide_integer() %}
    {#- A type for exact sums beyond 64 bits. Only DuckDB has a 128 bit integer. -#}
    hugeint
{%- endmacro %}

{% macro spark__wide_integer() %}
    decimal(38, 0)
{%- endmacro %}

{% macro with_line_id(relation) %}
    {{- adapter.dispatch('with_line_id', 'retailsim')(relation) -}}
{% endmacro %}

{% macro default__with_line_id(relation) %}
    {#- SQL: the rows of staged lines with `line_id`, which counts in the order of file names and lines.
        DuckDB keeps the order in which they were written; to count while reading would force the
        reader onto one thread. -#}
    select
        rowid as line_id,
        *
    from {{ relation }}
{%- endmacro %}

{% macro spark__with_line_id(relation) %}
    {#- Lines have their number in the file, and files that of their names. In a weekly build new files come
        last, so that those of before keep theirs. -#}
    with files as (
        select
            source_file,
            row_number() over (order by source_file) as file_number
        from {{ build_table('build_files') }}
    )

    select
        files.file_number * 4294967296 + lines.source_line as line_id,
        lines.*
    from {{ relation }} as lines
    inner join files on lines.source_file = files.source_file
{%- endmacro %}
