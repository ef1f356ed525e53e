{# Flat files of order lines: what a layout's YAML says of them (dbt_project/layouts/order_lines.py) as SQL. #}

{% macro order_lines_layout() %}
    {#- What the layout says; while dbt parses, the least that a layout can. -#}
    {%- do return(layout().order_lines or {
        'columns': ['basket', 'product', 'date', 'paid'],
        'basket': ['basket'], 'product': 'product', 'date': 'date', 'decimal': '.',
        'paid': [{'sign': '+', 'columns': ['paid']}],
        'categories': [], 'weighed': {}, 'set_aside': {},
    }) -%}
{% endmacro %}

{% macro raw_order_lines() %}
    {#-
      SQL that selects every record of every file of lines as text: c0, c1 and so on for the layout's
      `columns`, `source_file`, `source_line`, `line_fault` (why the record cannot be split into its
      fields, or null) and `raw_text` (the record as in the file; null for Parquet).
    -#}
    {%- do source('order_lines', 'lines') -%}{#- for the lineage graph -#}
    {%- if not execute or target.name == 'lint' or flags.WHICH not in ('run', 'build', 'retry') -%}
        select
            {%- for column in order_lines_layout().columns %}
            null::string as c{{ loop.index0 }},
            {%- endfor %}
            null::string as source_file,
            null::bigint as source_line,
            null::string as line_fault,
            null::string as raw_text
        where false
    {%- else -%}
        {%- set read, files = of_order_lines('text_tables'), [] -%}
        {%- if not new_files() -%}{%- do check_lookups(read | map(attribute='lookups') | list) -%}{%- endif -%}
        {%- for paths in read | map(attribute='paths') -%}
            {%- for path in paths -%}{%- do files.append({'path': path}) -%}{%- endfor -%}
        {%- endfor -%}
        select * from {{ text_table_rows(files) }}
    {%- endif -%}
{%- endmacro %}

{% macro raw_totals_of_order_lines() %}
    {%- set groups = of_order_lines('order_line_totals') if execute and target.name != 'lint' else [] -%}
    select source_file, rows_in_file, pence_in_file
    from (
        values
        {%- for files in groups %}
        {%- for file in files %}
        ({{ sql_string(file.name) }}, {{ file.rows }}, {{ file.pence }}),
        {%- endfor %}
        {%- endfor %}
        (null, null, null)
    ) as files (source_file, rows_in_file, pence_in_file)
    where source_file is not null
{% endmacro %}

{% macro text_table_rows(files) %}
    {{- adapter.dispatch('text_table_rows', 'retailsim')(files) -}}
{% endmacro %}

{% macro default__text_table_rows(files) %}
    {#- A FROM clause: Parquet files that a function of Python wrote. -#}
    read_parquet({{ raw_paths(files) }}, hive_partitioning = false)
{%- endmacro %}

{% macro spark__text_table_rows(files) %}
    parquet.{{ spark_paths(files) }}
{%- endmacro %}

{% macro of_order_lines(function) %}
    {#- What a function of dbt_project/functions.py says of the raw folder's files, group by group; in a weekly
        build, of the new ones. -#}
    {#- Asked also where new files are known: it looks whether the folder's files go together. -#}
    {%- set names = said_of_order_lines('order_line_files', [[]])[0] -%}
    {%- do return(said_of_order_lines(function, groups_of_files(new_files() or names))) -%}
{% endmacro %}

{% macro said_of_order_lines(function, groups) %}
    {%- set lists, found = [], [] -%}
    {%- for names in groups -%}{%- do lists.append(sql_string(tojson(names))) -%}{%- endfor -%}
    {%- set query -%}
        select {{ function }}({{ sql_string(layout_name()) }}, {{ sql_string(env_var('RETAILSIM_RAW', 'raw_data')) }}, names)
        from {{ each_in_a_task(rows_of_list(new_list(lists)), 'names', groups | length) }} as file_groups
    {%- endset -%}
    {%- for json in run_query(query).columns[0].values() -%}{%- do found.append(fromjson(json)) -%}{%- endfor -%}
    {%- for said in found if said is mapping and said.problem -%}{%- do raw_error(said.problem ~ '.') -%}{%- endfor -%}
    {%- do return(found) -%}
{% endmacro %}

{% macro groups_of_files(names) %}
    {{- return(adapter.dispatch('groups_of_files', 'retailsim')(names)) -}}
{% endmacro %}

{% macro default__groups_of_files(names) %}
    {%- do return([names]) -%}
{% endmacro %}

{% macro spark__groups_of_files(names) %}
    {#- As many as Spark cuts a table into, at most. -#}
    {%- set parts = [names | length, env_var('RETAILSIM_SPARK_PARTITIONS', '4') | int] | min -%}
    {%- set groups = [] -%}
    {%- for part in range(parts) -%}{%- do groups.append(names[part::parts]) -%}{%- endfor -%}
    {%- do return(groups) -%}
{% endmacro %}

{% macro check_lookups(groups) %}
    {#- Stops where a lookup knew no code of any line. groups: of each group of files, the lookups in their order. -#}
    {%- for lookup in groups[0] -%}
        {%- set place = loop.index0 -%}
        {%- set asked = groups | map(attribute=place) | list -%}
        {%- set lacks = asked | map(attribute='lacks') | select | list -%}
        {%- if lacks and not asked | map(attribute='knows') | select | list -%}
            {%- do raw_error(lookup.path ~ ': knows no ' ~ lookup.key ~ ' of any line, not even ' ~ lacks[-1]
                ~ '. Write codes alike, such as with their leading zeros, or change `lookups`.') -%}
        {%- endif -%}
    {%- endfor -%}
{% endmacro %}

{% macro line_column(name) -%}
    {#- The column of raw_order_lines that holds a column of the files, by its name. -#}
    {%- if name is none or name is undefined -%}
    null::string
    {%- else -%}
    c{{ order_lines_layout().columns.index(name.strip() | lower) }}
    {%- endif -%}
{%- endmacro %}

{% macro joined_codes(names) -%}
    {#- One code of several columns. A `/` within any but the last is marked with a backslash, which is
        chr(92) since Spark reads one before a quotation mark as escaping it: a/b and c are not a and b/c. -#}
    {%- for name in names -%}
        {%- set part = code(line_column(name)) -%}
        {%- if loop.last -%}
    {{ part }}
        {%- else -%}
    replace(replace({{ part }}, chr(92), chr(92) || chr(92)), '/', chr(92) || '/') || '/' ||{{ ' ' }}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{% macro line_stamp() -%}
    {#- Date and time of a line, local. -#}
    {%- set lines = order_lines_layout() -%}
    {%- set zone = layout().time_zone -%}
    {%- set date = line_column(lines.date) -%}
    {%- if lines.date_format -%}
        {%- set stamp = timestamp_as(date, lines.date_format.strptime, lines.date_format.pattern) -%}
    {%- else -%}
        {#- Z says UTC, so it must be known where the stores are. -#}
        {%- set stamp = iso_timestamp("regexp_replace(" ~ date ~ ", 'Z$', '')" if zone else date) -%}
    {%- endif -%}
    {%- if lines.time -%}
        {%- set time = line_column(lines.time) -%}
        {%- if lines.time_format -%}
            {%- set clock = timestamp_as(
                "'2000-01-01 ' || " ~ time, '%Y-%m-%d ' ~ lines.time_format.strptime,
                '2000-01-01 ' ~ lines.time_format.pattern
            ) -%}
        {%- else -%}
            {%- set clock = iso_timestamp("'2000-01-01 ' || " ~ time) -%}
        {%- endif -%}
        {%- set stamp = "date_trunc('day', " ~ stamp ~ ") + (" ~ clock ~ " - timestamp '2000-01-01')" -%}
    {%- endif -%}
    {%- if zone -%}
    case when {{ line_has_time() }} then {{ local_time('(' ~ stamp ~ ')', zone) }} else {{ stamp }} end
    {%- else -%}
    {{ stamp }}
    {%- endif -%}
{%- endmacro %}

{% macro line_has_time() -%}
    {#- Whether a line says the time of day: not every date of ISO does. -#}
    {%- set lines = order_lines_layout() -%}
    {%- if lines.time or lines.date_format -%}
    {{ 'true' if lines.has_time else 'false' }}
    {%- else -%}
    {{ line_column(lines.date) }} like '%:%'
    {%- endif -%}
{%- endmacro %}

{% macro line_amount(terms) -%}
    {#- The sum of a layout's terms, exact; a product is rounded to hundredths. A term behind the first
        counts nothing where it is empty; null where one is no number. -#}
    {%- set point = order_lines_layout().decimal -%}
    {%- for term in terms -%}
        {%- set columns = [] -%}
        {%- set amounts = [] -%}
        {%- for name in term.columns -%}
            {%- do columns.append(line_column(name) ~ ' is null') -%}
            {%- do amounts.append('(' ~ amount(line_column(name), point) ~ ')') -%}
        {%- endfor -%}
        {%- set product = amounts | join(' * ') -%}
        {%- if amounts | length > 1 -%}{%- set product = 'round(' ~ product ~ ', 2)' -%}{%- endif -%}
        {%- if loop.first -%}
    {{ '-' if term.sign == '-' }}{{ product }}
        {%- else -%}
    {{ ' ' ~ term.sign ~ ' ' }}case when {{ columns | join(' or ') }} then 0 else {{ product }} end
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{% macro terms_text(terms) -%}
    {#- A layout's terms as its YAML spells them. -#}
    {%- for term in terms -%}
        {{ (term.sign ~ ' ') if loop.first and term.sign == '-' }}{{ (' ' ~ term.sign ~ ' ') if not loop.first }}{{ term.columns | join(' * ') }}
    {%- endfor -%}
{%- endmacro %}

{% macro line_conditions(conditions) -%}
    {#- Whether every column has one of its values. -#}
    (
        {%- for name, values in conditions.items() -%}
        coalesce(
            {%- for value in values -%}
            {{ code(line_column(name)) }} = {{ sql_string(value) }}{{ ' or ' if not loop.last }}
            {%- endfor -%}
            , false)
        {{- ' and ' if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}
