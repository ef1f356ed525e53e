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
    {#- SQL: the rows of staged lines with `line_id`, their position from 0 in the order of file names and
        lines. DuckDB keeps the order in which they were written; to count while reading would force the
        reader onto one thread. -#}
    select
        rowid as line_id,
        *
    from {{ relation }}
{%- endmacro %}

{% macro spark__with_line_id(relation) %}
    {#- Lines have their number in the file. Whole files come before: no sort of all lines is needed. In a
        weekly build the lines of new files. -#}
    {%- set new = new_files() -%}
    with files as (
        select
            source_file,
            sum(count(*)) over (order by source_file) - count(*) as lines_before
        from {{ relation }}
        group by source_file
    ),

    lines as (
        select * from {{ relation }}
        where {{ is_one_of_files(new) if new else 'true' }}
    )

    select
        files.lines_before
        + row_number() over (partition by lines.source_file order by lines.source_line) - 1 as line_id,
        lines.*
    from lines
    inner join files on lines.source_file = files.source_file
{%- endmacro %}
