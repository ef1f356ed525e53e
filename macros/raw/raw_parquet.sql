{% macro inspect_parquet(files) %}
    {{- adapter.dispatch('inspect_parquet', 'retailsim')(files) -}}
{% endmacro %}

{% macro default__inspect_parquet(files) %}
    {#
      Sets `names`, `columns` (the same under the contract's names) and `types` of every Parquet file, as
      DuckDB calls them, at the top level: the names inside a nested column are not the file's.
    #}
    {% set schema %}
        select file_name, name, coalesce(num_children, 0), coalesce(duckdb_type, ''), coalesce(logical_type, '')
        from parquet_schema({{ raw_paths(files) }})
        order by file_name, column_id
    {% endset %}
    {% set by_path = {} %}
    {% for row in run_query(schema).rows %}
        {% do by_path.setdefault(row[0], []).append(row) %}
    {% endfor %}
    {% for file in files %}
        {% do file.update({'names': [], 'columns': [], 'types': []}) %}
        {#- The root comes first, and a nested column just before what it is made of. -#}
        {% set below = namespace(elements=0) %}
        {% for path, name, children, type, logical_type in by_path[file.path][1:] %}
            {% if below.elements %}
                {% set below.elements = below.elements - 1 + children %}
            {% else %}
                {% set below.elements = children %}
                {% do file.names.append(name) %}
                {% do file.columns.append(raw_column_name(name)) %}
                {% do file.types.append(parquet_type(type, logical_type)) %}
            {% endif %}
        {% endfor %}
    {% endfor %}
{% endmacro %}

{% macro spark__inspect_parquet(files) %}
    {#- Under the names that DuckDB has for types. A time with a zone is `timestamp` for Spark, and so is
        one of the old type INT96, which has none. -#}
    {% set types = {
        'string': 'VARCHAR', 'int': 'INTEGER', 'timestamp': 'TIMESTAMP WITH TIME ZONE',
        'timestamp_ntz': 'TIMESTAMP', 'void': '"NULL"',
    } %}
    {% for file in files %}
        {% do file.update({'names': [], 'columns': [], 'types': []}) %}
        {% set described = run_query('describe query select * from parquet.' ~ spark_paths([file])).rows %}
        {% set times = described | selectattr(1, 'equalto', 'timestamp') | list %}
        {% set int96 = of_each_file('int96_columns', [file])[file.path] if times else [] %}
        {% for row in described %}
            {% do file.names.append(row[0]) %}
            {% do file.columns.append(raw_column_name(row[0])) %}
            {% do file.types.append('TIMESTAMP' if row[0] in int96 else types.get(row[1], row[1] | upper)) %}
        {% endfor %}
    {% endfor %}
{% endmacro %}

{% macro parquet_type(type, logical_type) %}
    {#- DuckDB's name of a type, but for two that it reads as wider or narrower numbers than they are. -#}
    {%- if logical_type.startswith('Float16') -%}
        {%- do return('HALF FLOAT') -%}
    {%- elif logical_type.startswith('Decimal') and type == 'DOUBLE' -%}
        {%- do return('DECIMAL of more than 38 digits') -%}
    {%- endif -%}
    {%- do return(type) -%}
{% endmacro %}

{% macro check_types(file, required) %}
    {# Stops unless the required columns have types that are text without doubt. #}
    {% for column in required %}
        {% set type = file.types[file.columns.index(column)] %}
        {% if not modules.re.match(
            '(VARCHAR|UUID|"NULL"|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DECIMAL\\(.*\\)|FLOAT|DOUBLE|DATE'
            '|TIMESTAMP(_S|_MS|_NS)?)$', type
        ) %}
            {% do raw_error(file.path ~ ': column ' ~ column | upper ~ ' is of type ' ~ type
                ~ '. Expected text, whole numbers, DECIMAL, FLOAT, DOUBLE, DATE or TIMESTAMP without time '
                ~ 'zone.') %}
        {% endif %}
    {% endfor %}
{% endmacro %}

{% macro parquet_columns(files, columns) %}
    {#-
      SQL: the columns of Parquet files with the same columns and types as text, `filename` and
      `missing_words`. Columns are chosen by place: DuckDB changes names that differ in case only.
    -#}
    {%- set file = files[0] -%}
    select
        {%- for column in columns %}
        {{ raw_known(column) }} as {{ column }},
        {%- endfor %}
        filename,
        source_line,
        (
            {%- for column in raw_ids() %}
            coalesce({{ is_missing_word(column) }}, false)::tinyint{{ ' + ' if not loop.last }}
            {%- endfor %}
        ) as missing_words
    from (
        select
            {%- for column in columns %}
            {%- set place = file.columns.index(column) %}
            {{ raw_trimmed(parquet_text('c' ~ place, file.types[place], is_pounds=column == 'spend')) }} as {{ column }},
            {%- endfor %}
            filename,
            source_line
        from {{ parquet_rows(files) }}
    ) as texts
{%- endmacro %}

{% macro parquet_rows(files) %}
    {{- adapter.dispatch('parquet_rows', 'retailsim')(files) -}}
{% endmacro %}

{% macro default__parquet_rows(files) %}
    {#- A FROM clause: the columns c0, c1 and so on of Parquet files, `filename`, and `source_line`, see
        `raw_lines`. -#}
    (
        select
            *,
            null::bigint as source_line
        from read_parquet({{ raw_paths(files) }}, filename = 'name of the raw file', hive_partitioning = false) as raw (
            {%- for column in files[0].columns %}c{{ loop.index0 }}, {% endfor %}filename
        )
    ) as rows_read
{%- endmacro %}

{% macro spark__parquet_rows(files) %}
    (
        select
            {%- for name in files[0].names %}
            {{ adapter.quote(name) }} as c{{ loop.index0 }},
            {%- endfor %}
            _metadata.file_name as filename,
            _metadata.row_index + 1 as source_line
        from parquet.{{ spark_paths(files) }}
    ) as rows_read
{%- endmacro %}

{% macro parquet_text(column, type, is_pounds=false) -%}
    {#- A value as a CSV file would show it. A whole number in a column of floats is shown without
        decimals, but only below `float_limit`: from there on, which number was meant is lost, as the
        exponent says. -#}
    {%- if type in ('FLOAT', 'DOUBLE') -%}
    case
        when
            {{ is_finite(column) }} and abs({{ column }}) >= {{ float_limit(type, is_pounds) }}
            and ({{ 'true' if is_pounds else column ~ ' = floor(' ~ column ~ ')' }})
            then {{ scientific(column) }}
        when {{ is_finite(column) }} and {{ column }} = floor({{ column }})
            then {{ column }}::bigint::string
        else {{ column }}::string
    end
    {%- else -%}
    {{ column }}::string
    {%- endif -%}
{%- endmacro %}

{% macro float_limit(type, is_pounds) %}
    {#- From where on several whole numbers share one float, or several pence: neighbours of single
        precision are more than a penny apart from 2^17 pounds on, those of double from 2^46. -#}
    {%- do return(2 ** ((17 if is_pounds else 24) if type == 'FLOAT' else (46 if is_pounds else 53))) -%}
{% endmacro %}
