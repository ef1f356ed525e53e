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
    {#
      Reads CSV files once before they are split, stops at any that is no text in UTF-8 or whose lines
      cannot be told apart, and sets `columns` (its header), `line_end` and `block` (the bytes to be
      read at once, 0 for any) of every file.

      DuckDB reads either files whose lines end in \n (and \r, as on old Macs) or files whose lines end
      in \r\n. Told \n, it sees a blank line after each \r\n. Told \r\n, it reads any mixture of the two,
      but may lose a line at the border of two blocks that it reads in parallel, so a mixture is read as
      one block; and it drops what follows a bare \r, which the number of bytes shows.
    #}
    {% set counts = csv_counts(files, '\\n') %}
    {% do read_csv_headers(files) %}
    {% for file in files %}
        {% set found = counts[file.path] %}
        {% set blank = found.lines - found.texts %}
        {% do file.update({'line_end': '\\r\\n' if blank else '\\n', 'block': 0}) %}
        {% if blank and found.texts - blank not in (0, 1) %}
            {#- DuckDB wants no buffer smaller than its longest line, 2 MB. -#}
            {% do file.update({'block': [found.bytes + 2 * found.lines, 4000000] | max}) %}
        {% endif %}
    {% endfor %}

    {% set others = files | selectattr('line_end', 'equalto', '\\r\\n') | list %}
    {% for group in [others | selectattr('block') | list, others | rejectattr('block') | list] if group %}
        {% set again = csv_counts(group, '\\r\\n', block_options(group)) %}
        {% for file in group if again[file.path].bytes != counts[file.path].bytes %}
            {% do raw_error(file.path ~ ': some lines end in \\r\\n or are blank, but there are carriage '
                ~ 'returns (\\r) elsewhere. Save it again with one kind of line end.') %}
        {% endfor %}
    {% endfor %}
{% endmacro %}

{% macro csv_counts(files, line_end, options='') %}
    {# By path: the lines of text files, those with text, and the bytes of these. #}
    {% set scan %}
        select filename, count(*), count(line), coalesce(sum(strlen(line)), 0)::bigint
        from {{ raw_lines(
            files, header=false, line_end=line_end, options=options ~ ', store_rejects = true, '
            ~ "rejects_table = 'raw_csv_rejects', rejects_scan = 'raw_csv_scans'"
        ) }}
        group by filename
    {% endset %}
    {% set counts = {} %}
    {% for path, lines, texts, bytes in run_query(scan).rows %}
        {% do counts.update({path: {'lines': lines, 'texts': texts, 'bytes': bytes}}) %}
    {% endfor %}
    {% set unreadable %}
        select file_path, error_type, left(csv_line, 60)
        from raw_csv_rejects
        inner join raw_csv_scans using (scan_id, file_id)
        where file_path in (select unnest({{ sql_list(files | map(attribute='path')) }}))
        order by file_path, line
        limit 1
    {% endset %}
    {% for path, error, beginning in run_query(unreadable).rows %}
        {% do raw_error(path ~ (
            ': a line is longer than 2 MB' if error == 'LINE SIZE OVER MAXIMUM' else ': not UTF-8'
        ) ~ '. Save it as CSV in UTF-8 again. The line begins: ' ~ beginning) %}
    {% endfor %}
    {% do return(counts) %}
{% endmacro %}

{% macro read_csv_headers(files) %}
    {# Sets `columns` of CSV files, the names in their first lines. #}
    {% set first_lines %}
        {% for file in files %}
        {#- A small buffer: the default reads 32 MB of each file for its first line. -#}
        (
            select {{ sql_string(file.path) }}, line
            from {{ raw_lines(
                [file], header=false, options=', max_line_size = 65536, buffer_size = 131072'
            ) }}
            limit 1
        )
        {{ 'union all' if not loop.last }}
        {% endfor %}
    {% endset %}
    {% set headers = {} %}
    {% for path, line in run_query(first_lines).rows %}{% do headers.update({path: line}) %}{% endfor %}

    {% for file in files %}{% do file.update({'columns': csv_header(file, headers)}) %}{% endfor %}
{% endmacro %}

{% macro csv_header(file, headers) %}
    {% if file.path not in headers %}
        {% do raw_error(file.path ~ ': the file is empty. Expected a header line and rows; '
            ~ 'delete the file if its week has no data.') %}
    {% endif %}
    {% set header = headers[file.path] or '' %}
    {% if not header.strip() %}
        {% do raw_error(file.path ~ ': the first line is blank. Expected the header there.') %}
    {% elif '\x00' in header %}
        {% do raw_error(file.path ~ ': not UTF-8 (it looks like UTF-16). Save it as CSV in UTF-8 again.') %}
    {% endif %}
    {% set columns = [] %}
    {% for field in header.split(',') %}
        {% set name = modules.re.sub('^"(.*)"$', '\\1', field.strip()) %}
        {% if '"' in name %}
            {% do raw_error(file.path ~ ': a column name with a comma or a quotation mark: '
                ~ header[:400] ~ '. Rename the column.') %}
        {% endif %}
        {% do columns.append(raw_column_name(name)) %}
    {% endfor %}
    {% do return(columns) %}
{% endmacro %}

{% macro block_options(files) %}
    {%- set block = files | map(attribute='block') | max -%}
    {%- do return(', parallel = false, buffer_size = ' ~ block if block else '') -%}
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
