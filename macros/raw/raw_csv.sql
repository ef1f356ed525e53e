{% macro raw_lines(files, header, line_end='\\n', options='') %}
    {#- One row per line of the text files, in file and line order; null for a blank line. Reading whole
        lines and splitting them in SQL loses none: a CSV reader would drop or stop at a malformed one.
        The delimiter begins with a line end, so it is never found within a line. All files are packed
        or none: DuckDB would go by the name, and miss `.GZ` and what follows a `?` in a path. -#}
    read_csv(
        {{ raw_paths(files) }},
        columns = {'line': 'VARCHAR'}, header = {{ header | lower }}, filename = true,
        hive_partitioning = false, auto_detect = false, delim = e'\n\x01', quote = '', escape = '',
        compression = '{{ 'gzip' if files[0].packed else 'none' }}', strict_mode = false,
        new_line = '{{ line_end }}'{{ options }}
    )
{%- endmacro %}

{% macro inspect_csv(files) %}
    {# Sets `columns` (their headers), `line_end` and `block` of CSV files, for raw_lines, and stops at any
       that is not whole or no text (dbt_project/text_files.py). #}
    {% set found = of_each_file('text_file', files) %}
    {% for file in files %}
        {% do file.update(found[file.path]) %}
        {% if file.problem %}{% do raw_error(file.path ~ ': ' ~ file.problem ~ '.') %}{% endif %}
    {% endfor %}
    {% do read_csv_headers(files) %}
{% endmacro %}

{% macro read_csv_headers(files) %}
    {# Sets `columns` of CSV files, the names in their first lines. #}
    {% set lines = of_each_file('first_line', files) %}
    {% for file in files %}{% do file.update({'columns': csv_header(file.path, lines[file.path])}) %}{% endfor %}
{% endmacro %}

{% macro of_each_file(function, files) %}
    {# What a function of dbt_project/text_files.py says of each file, by path. #}
    {% set query %}
        select path, {{ function }}(path)
        from (select unnest({{ sql_list(files | map(attribute='path')) }}) as path)
    {% endset %}
    {% set found = {} %}
    {% for path, json in run_query(query).rows %}{% do found.update({path: fromjson(json)}) %}{% endfor %}
    {% do return(found) %}
{% endmacro %}

{% macro csv_header(path, line) %}
    {# The names of the columns in a file's first line, which is null if the file is empty. #}
    {% if line is none %}
        {% do raw_error(path ~ ': the file is empty. Expected a header line and rows; '
            ~ 'delete the file if its week has no data.') %}
    {% elif not line.strip() %}
        {% do raw_error(path ~ ': the first line is blank. Expected the header there.') %}
    {% endif %}
    {% set columns = [] %}
    {% for field in line.split(',') %}
        {% set name = modules.re.sub('^"(.*)"$', '\\1', field.strip()) %}
        {% if '"' in name %}
            {% do raw_error(path ~ ': a column name with a comma or a quotation mark: '
                ~ line[:400] ~ '. Rename the column.') %}
        {% endif %}
        {% do columns.append(raw_column_name(name)) %}
    {% endfor %}
    {% do return(columns) %}
{% endmacro %}

{% macro block_options(files) %}
    {#- DuckDB wants a buffer of more than its longest line, 2 MB. -#}
    {%- set block = files | map(attribute='block') | max -%}
    {%- if block -%}
        {%- do return(', parallel = false, buffer_size = ' ~ [block + 1, 4000000] | max) -%}
    {%- endif -%}
    {%- do return('') -%}
{% endmacro %}

{% macro csv_fields(files, columns) %}
    {#-
      SQL: the columns of CSV files with one header as text, `filename`, `line`, `line_fault` (why the
      line cannot be split into its fields, or null) and `missing_words`.

      A field wholly enclosed in quotation marks loses them; one that is left makes the line unreadable,
      since what it enclosed or meant is not known. Most lines hold nothing that needs care, some only
      empty fields in quotation marks: to look at whole lines first, and at the fields of few, halves
      the time.
    -#}
    {%- set names = files[0].columns -%}
    {%- set ids = [] -%}
    {%- for column in raw_ids() if column in columns %}{% do ids.append(names.index(column) + 1) %}{% endfor -%}
    select
        {%- for column in columns %}
        nullif(fields[{{ names.index(column) + 1 }}], '') as {{ column }},
        {%- endfor %}
        filename,
        line,
        case
            when line is null then 'blank line'
            when len(fields) != {{ names | length }} then 'wrong number of fields'
            when contains(plain, '"') then 'quotation mark inside a field'
        end as line_fault,
        missing_words
    from (
        select
            filename,
            line,
            plain,
            missing_words,
            string_split(plain, ',') as fields
        from (
            select
                filename,
                line,
                case
                    when needs_care
                        then array_to_string(
                            list_transform(
                                {{ csv_unquoted_fields('line') }},
                                lambda field: coalesce({{ raw_known('field') }}, '')
                            ),
                            ','
                        )
                    else light
                end as plain,
                {%- if ids %}
                case
                    when needs_care
                        then len(list_filter(
                            list_select({{ csv_unquoted_fields('line') }}, [{{ ids | join(', ') }}]),
                            lambda field: {{ is_missing_word('field') }}
                        ))
                    else 0
                end as missing_words
                {%- else %}
                0 as missing_words
                {%- endif %}
            from (
                select
                    filename,
                    line,
                    light,
                    regexp_matches(light, {{ sql_string(csv_careful()) }}) as needs_care
                from (
                    select
                        filename,
                        line,
                        {#- Twice, since of neighbours one replacement takes every second. #}
                        case
                            when contains(line, '"')
                                then replace(replace(line, ',"",', ',,'), ',"",', ',,')
                            else line
                        end as light
                    from {{ raw_lines(
                        files, header=true, line_end=files[0].line_end, options=block_options(files)
                    ) }}
                )
            )
        )
    )
{%- endmacro %}

{% macro csv_careful() %}
    {#- A regular expression of what makes the fields of a line worth a look each: a quotation mark, a
        blank around a field, a word for a missing value. -#}
    {%- set words = [] -%}
    {%- for word in raw_missing_words() %}{% do words.append(modules.re.escape(word)) %}{% endfor -%}
    {%- do return(
        '["\\t\\x{a0}]|, | ,|^ | $|(?i:(?:^|,)(?:' ~ words | join('|') ~ ')(?:,|$))'
    ) -%}
{% endmacro %}

{% macro csv_unquoted_fields(line) -%}
    list_transform(
        string_split({{ line }}, ','),
        lambda field: {{ raw_trimmed(
            'regexp_replace(' ~ raw_trimmed('field') ~ ", '^\"(.*)\"$', '\\1', 's')"
        ) }}
    )
{%- endmacro %}
