{% macro raw_lines(files) %}
    {{- adapter.dispatch('raw_lines', 'retailsim')(files) -}}
{% endmacro %}

{% macro default__raw_lines(files) %}
    {#- A FROM clause: the lines of text files below their headers, `filename`, `line` (null if blank) and
        `source_line`, in file and line order; or null, where the position of a row says its line.
        Reading whole lines and splitting them in SQL loses none: a CSV reader would drop or stop at a
        malformed one. The delimiter begins with a line end, so it is never found within a line. All files are packed
        or none: DuckDB would go by the name, and miss `.GZ` and what follows a `?` in a path. -#}
    (
        select
            filename,
            line,
            null::bigint as source_line
        from read_csv(
            {{ raw_paths(files) }},
            columns = {'line': 'VARCHAR'}, header = true, filename = true,
            hive_partitioning = false, auto_detect = false, delim = e'\n\x01', quote = '', escape = '',
            compression = '{{ 'gzip' if files[0].packed else 'none' }}', strict_mode = false,
            new_line = '{{ files[0].line_end or '\\n' }}'{{ block_options(files) }}
        )
    )
{%- endmacro %}

{% macro spark__raw_lines(files) %}
    {#- Spark may cut a file into blocks that it reads side by side, each with ids that rise by one from line to line.
        So a line's number is its id less the first of its block, and the lines of the blocks before. To count
        these the files are read twice, which costs less than to bring the lines of a file together.
        Were the ids others the second time, the build would stop. -#}
    {%- set lines -%}
        select
            _metadata.file_name as filename,
            _metadata.file_block_start as block,
            monotonically_increasing_id() as id,
            value as line
        from text.{{ spark_paths(files) }}
    {%- endset %}
    (
        select
            filename,
            nullif(line, '') as line,
            source_line
        from (
            select /*+ broadcast(blocks) */
                lines.filename,
                lines.line,
                case
                    when lines.id >= blocks.first_id and lines.id < blocks.first_id + blocks.line_count
                        then blocks.earlier_lines + lines.id - blocks.first_id + 1
                    else raise_error(concat(lines.filename, ': its lines are not the same when it is read again'))
                end as source_line
            from ({{ lines }}) as lines
            inner join (
                select
                    filename,
                    block,
                    min(id) as first_id,
                    count(*) as line_count,
                    sum(count(*)) over (partition by filename order by block) - count(*) as earlier_lines
                from ({{ lines }}) as counted
                group by filename, block
            ) as blocks
                on lines.filename = blocks.filename and lines.block = blocks.block
        )
        where source_line > 1
    )
{%- endmacro %}

{% macro spark_paths(files) %}
    {#- Files of one folder, as Spark takes them in place of a table: a pattern that matches all of them. -#}
    {%- set places = [] -%}
    {%- for file in files -%}
        {%- if file.packed and not file.path.endswith('.gz') -%}
            {%- do raw_error(file.path ~ ': Spark unpacks only what ends in .gz. Rename it.') -%}
        {%- endif -%}
        {%- do places.append(modules.re.sub('([][{}*?,\\\\])', '\\\\\\1', file.path).rpartition('/')) -%}
    {%- endfor -%}
    {%- set names = places | map('last') | join(',') -%}
    {%- set pattern = (places[0][:2] | join) ~ ('{' ~ names ~ '}' if places | length > 1 else names) -%}
    {%- do return('`' ~ pattern | replace('`', '``') ~ '`') -%}
{% endmacro %}

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
    {% if not files %}{% do return({}) %}{% endif %}
    {% set paths = [] %}
    {% for file in files %}{% do paths.append(sql_string(file.path)) %}{% endfor %}
    {% set query %}
        select path, {{ function }}(path)
        from {{ each_in_a_task(rows_of_list(new_list(paths)), 'path', paths | length) }} as files
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
    {%- set block = files | map(attribute='block', default=0) | max -%}
    {%- if block -%}
        {%- do return(', parallel = false, buffer_size = ' ~ [block + 1, 4000000] | max) -%}
    {%- endif -%}
    {%- do return('') -%}
{% endmacro %}

{% macro csv_fields(files, columns) %}
    {#-
      SQL: the columns of CSV files with one header as text, `filename`, `source_line` (see `raw_lines`),
      `line`, `line_fault` (why the line cannot be split into its fields, or null) and `missing_words`.

      A field wholly enclosed in quotation marks loses them; one that is left makes the line unreadable,
      since what it enclosed or meant is not known. Most lines hold nothing that needs care, some only
      empty fields in quotation marks: to look at whole lines first, and at the fields of few, halves
      the time.
    -#}
    {%- set names = files[0].columns -%}
    select
        {%- for column in columns %}
        nullif({{ element_of_list('fields', names.index(column) + 1) }}, '') as {{ column }},
        {%- endfor %}
        filename,
        source_line,
        line,
        case
            when line is null then 'blank line'
            when {{ length_of_list('fields') }} != {{ names | length }} then 'wrong number of fields'
            when contains(plain, '"') then 'quotation mark inside a field'
        end as line_fault,
        missing_words
    from (
        select
            filename,
            source_line,
            line,
            plain,
            split(plain, ',') as fields,
            case
                when careful is null then 0
                else
                    {%- for column in raw_ids() if column in columns %}
                    coalesce({{ is_missing_word(element_of_list('careful', names.index(column) + 1)) }}, false)::integer +
                    {%- endfor %}
                    0
            end as missing_words
        from (
            select
                filename,
                source_line,
                line,
                careful,
                case
                    when careful is null then light
                    else {{ joined_list(
                        each_of_list('careful', 'field', 'coalesce(' ~ raw_known('field') ~ ", '')"), ','
                    ) }}
                end as plain
            from (
                select
                    filename,
                    source_line,
                    line,
                    light,
                    case
                        when {{ needs_care('light') }}
                            then {{ each_of_list("split(line, ',')", 'field', csv_unquoted('field')) }}
                    end as careful
                from (
                    select
                        filename,
                        source_line,
                        line,
                        {#- Twice, since of neighbours one replacement takes every second. #}
                        case
                            when contains(line, '"')
                                then replace(replace(line, ',"",', ',,'), ',"",', ',,')
                            else line
                        end as light
                    from {{ raw_lines(files) }} as raw_lines
                ) as lightened
            ) as looked_at
        ) as plainly
    ) as split_up
{%- endmacro %}

{% macro needs_care(line) -%}
    {#- Whether the fields of a line are worth a look each: a quotation mark, a blank around a field, a word for
        a missing value. To look for each text by itself is quicker than one regular expression for all: Java
        tries every alternative at every place. -#}
    {%- set first_letters = {} -%}
    {%- for word in raw_missing_words() -%}
        {%- do first_letters.setdefault(word[0], []).append(modules.re.escape(word[1:])) -%}
    {%- endfor -%}
    {%- set words = [] -%}
    {%- for letter, rests in first_letters.items() -%}
        {%- do words.append(modules.re.escape(letter) ~ '(?:' ~ rests | join('|') ~ ')') -%}
    {%- endfor -%}
    (
        {%- for text in ["'\"'", 'chr(9)', 'chr(160)', "', '", "' ,'"] %}
        contains({{ line }}, {{ text }}) or
        {%- endfor %}
        {{ line }} like ' %' or {{ line }} like '% '
        or {{ has_match("concat(',', " ~ line ~ ", ',')", ',(?i:' ~ words | join('|') ~ '),') }}
    )
{%- endmacro %}

{% macro csv_unquoted(field) -%}
    {#- A field without blanks around it and the quotation marks that enclose it. -#}
    {%- set trimmed = raw_trimmed(field) -%}
    {{ raw_trimmed(
        'case when length(' ~ trimmed ~ ') > 1 and ' ~ trimmed ~ " like '\"%\"' then substring(" ~ trimmed
        ~ ', 2, length(' ~ trimmed ~ ') - 2) else ' ~ trimmed ~ ' end'
    ) }}
{%- endmacro %}
