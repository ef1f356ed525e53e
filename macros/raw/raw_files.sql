{#
  Finds the raw files and checks them before a row is read. DuckDB itself lists and inspects them
  (`glob`, first lines, Parquet schemas), so nothing but dbt is needed. This folder is written for
  DuckDB and not behind macros/engine: another engine reads files in its own way.
  Whatever is wrong with a file as a whole stops the build here, with the file's name and what was
  expected; whatever is wrong with a row is left to staging, which rejects it.
#}

{% macro raw_transaction_columns() %}
    {# The columns of a transactions file under the names of the older release, in its order. #}
    {% do return([
        'shop_week', 'shop_date', 'shop_weekday', 'shop_hour', 'quantity', 'spend',
        'prod_code', 'prod_code_10', 'prod_code_20', 'prod_code_30', 'prod_code_40',
        'cust_code', 'seg_1', 'seg_2', 'basket_id', 'basket_size', 'basket_price_sensitivity',
        'basket_type', 'basket_dominant_mission', 'store_code', 'store_format', 'store_region',
    ]) %}
{% endmacro %}

{% macro raw_column_aliases() %}
    {# Names of the newer release for the same columns. #}
    {% do return({'cust_price_sensitivity': 'seg_1', 'cust_lifestage': 'seg_2'}) %}
{% endmacro %}

{% macro sql_string(text) %}
    {%- do return("'" ~ text | replace("'", "''") ~ "'") -%}
{% endmacro %}

{% macro sql_list(texts) %}
    {%- set strings = [] -%}
    {%- for text in texts %}{% do strings.append(sql_string(text)) %}{% endfor -%}
    {%- do return('[' ~ strings | join(', ') ~ ']') -%}
{% endmacro %}

{% macro raw_lines(paths, header, options='') %}
    {#- One row per physical line of the text files, in file and line order. Reading whole lines and
        splitting them in SQL loses none: a CSV reader would drop or stop at a malformed one. -#}
    read_csv(
        {{ sql_list(paths) }},
        columns = {'line': 'VARCHAR'}, header = {{ header | lower }}, filename = true,
        auto_detect = false, delim = e'\x01', quote = '', escape = ''{{ options }}
    )
{%- endmacro %}

{% macro raw_files(source_relation, if_none) %}
    {#
      The files behind a source, each a dict(path, name, kind, columns): `kind` csv or parquet,
      `columns` its column names in order, lower case and with the older release's names.
      Empty while dbt parses and under the lint target, which reads no data. A run or build that
      finds no file stops with `if_none`; compiling and generating docs go on without data.
    #}
    {% if not execute or target.name == 'lint' %}
        {% do return([]) %}
    {% endif %}

    {% set location = source_relation.external.strip("'") %}
    {% set files = [] %}
    {% set found = run_query('select file from glob(' ~ sql_string(location) ~ ') order by file') %}
    {% if not found.rows and flags.WHICH in ('run', 'build', 'retry') %}
        {% do raw_error('nothing found at ' ~ location ~ '. ' ~ if_none) %}
    {% endif %}
    {% for row in found.rows %}
        {% set path = row[0] %}
        {% set name = path.split('/')[-1] %}
        {% set lower_name = name | lower %}
        {% if lower_name.endswith('.csv') or lower_name.endswith('.csv.gz') %}
            {% do files.append({'path': path, 'name': name, 'kind': 'csv'}) %}
        {% elif lower_name.endswith('.parquet') %}
            {% do files.append({'path': path, 'name': name, 'kind': 'parquet'}) %}
        {% else %}
            {% do raw_error(path ~ ': this kind of file is not read. Expected a name that ends in '
                ~ '.csv, .csv.gz or .parquet (unpack archives first).') %}
        {% endif %}
    {% endfor %}
    {% do check_same_stem(files) %}
    {% do add_columns(files) %}
    {% do return(files) %}
{% endmacro %}

{% macro raw_error(message) %}
    {% do exceptions.raise_compiler_error('Raw data: ' ~ message) %}
{% endmacro %}

{% macro check_same_stem(files) %}
    {# transactions_200607.csv beside transactions_200607.csv.gz would count every row twice. #}
    {% set seen = {} %}
    {% for file in files %}
        {% set stem = (file.name | lower).removesuffix('.gz').removesuffix('.csv').removesuffix('.parquet') %}
        {% if stem in seen %}
            {% do raw_error(file.path ~ ': the same data as ' ~ seen[stem]
                ~ ' by its name. Keep one of the two.') %}
        {% endif %}
        {% do seen.update({stem: file.name}) %}
    {% endfor %}
{% endmacro %}

{% macro add_columns(files) %}
    {# Reads the header of every file, in one query per kind, and sets `columns`. #}
    {% set csv_paths = files | selectattr('kind', 'equalto', 'csv') | map(attribute='path') | list %}
    {% set parquet_paths = files | selectattr('kind', 'equalto', 'parquet') | map(attribute='path') | list %}
    {% set headers = {} %}
    {% if csv_paths %}
        {% set query %}
            {% for path in csv_paths %}
            {#- A small buffer: the default reads 32 MB of each file for its first line. -#}
            (
                select {{ sql_string(path) }}, line
                from {{ raw_lines([path], header=false, options=', max_line_size = 65536, buffer_size = 131072') }}
                limit 1
            )
            {{ 'union all' if not loop.last }}
            {% endfor %}
        {% endset %}
        {% for row in run_query(query).rows %}
            {% do headers.update({row[0]: row[1]}) %}
        {% endfor %}
    {% endif %}
    {% if parquet_paths %}
        {% set query %}
            select file_name, string_agg(name, ',' order by column_id)
            from (
                select file_name, name, row_number() over (partition by file_name) as column_id
                from parquet_schema({{ sql_list(parquet_paths) }})
                where coalesce(num_children, 0) = 0
            )
            group by file_name
        {% endset %}
        {% for row in run_query(query).rows %}
            {% do headers.update({row[0]: row[1]}) %}
        {% endfor %}
    {% endif %}

    {% set aliases = raw_column_aliases() %}
    {% for file in files %}
        {% set header = headers.get(file.path) %}
        {% if not header %}
            {% do raw_error(file.path ~ ': the file is empty. Expected a header line and rows; '
                ~ 'delete the file if its week has no data.') %}
        {% endif %}
        {% set columns = [] %}
        {% for column in (header | replace('"', '')).split(',') %}
            {% set name = column.strip() | lower %}
            {% do columns.append(aliases.get(name, name)) %}
        {% endfor %}
        {% do file.update({'header': header, 'columns': columns}) %}
    {% endfor %}
{% endmacro %}

{% macro check_columns(file, required) %}
    {# Stops unless the file has every required column exactly once. #}
    {% set missing = [] %}
    {% for column in required %}
        {% if column not in file.columns %}{% do missing.append(column | upper) %}{% endif %}
    {% endfor %}
    {% set doubled = [] %}
    {% for column in file.columns %}
        {% if file.columns.count(column) > 1 and column | upper not in doubled %}
            {% do doubled.append(column | upper) %}
        {% endif %}
    {% endfor %}
    {% if missing and file.columns | length == 1 %}
        {% for delimiter, label in [(';', 'semicolons'), ('\t', 'tabs'), ('|', 'vertical bars')] %}
            {% if delimiter in file.header %}
                {% do raw_error(file.path ~ ': wrong delimiter. The header is separated by '
                    ~ label ~ ', expected commas.') %}
            {% endif %}
        {% endfor %}
    {% endif %}
    {% if missing %}
        {% do raw_error(file.path ~ ': column ' ~ missing | join(', ') ~ ' missing. Found: '
            ~ file.header[:400] ~ '. Expected (any order, any case; SEG_1 and SEG_2 may be called '
            ~ 'CUST_PRICE_SENSITIVITY and CUST_LIFESTAGE): ' ~ required | join(',') | upper ~ '.') %}
    {% endif %}
    {% if doubled %}
        {% do raw_error(file.path ~ ': column ' ~ doubled | join(', ')
            ~ ' stands more than once in the header.') %}
    {% endif %}
{% endmacro %}
