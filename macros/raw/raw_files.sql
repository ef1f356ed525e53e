{#
  Finds the raw files and says what kind each is. How an engine reads their lines and rows is a macro for
  each; what is in a line or row is the same SQL for all.
  Whatever is wrong with a file as a whole stops the build here, with the file's name and what was
  expected; whatever is wrong with a row is left to staging, which rejects it.
#}

{% macro raw_error(message) %}
    {% do exceptions.raise_compiler_error('Raw data: ' ~ message) %}
{% endmacro %}

{% macro sql_string(text) %}
    {#- Where backslashes are plain, Spark takes '' within a text for two marks; but texts that stand side
        by side are one. -#}
    {%- set mark = "' \"'\" '" if target.type == 'spark' else "''" -%}
    {%- do return("'" ~ text | replace("'", mark) ~ "'") -%}
{% endmacro %}

{% macro raw_path(path) %}
    {#- A path as DuckDB takes it: to `read_csv`, `read_parquet` and `glob` a bare `[`, `*` or `?` is a
        pattern. -#}
    {%- do return(path | replace('[', '[[]') | replace('*', '[*]') | replace('?', '[?]')) -%}
{% endmacro %}

{% macro raw_paths(files) %}
    {#- SQL: a list of the files' paths. -#}
    {%- set paths = [] -%}
    {%- for file in files %}{% do paths.append(sql_string(raw_path(file.path))) %}{% endfor -%}
    {%- do return('[' ~ paths | join(', ') ~ ']') -%}
{% endmacro %}

{% macro folder_now(path) %}
    {#- What is at a path (dbt_project/text_files.py). -#}
    {%- do return(fromjson(run_query('select folder(' ~ sql_string(path) ~ ')').rows[0][0])) -%}
{% endmacro %}

{% macro raw_files(wanted) %}
    {#
      The files of one kind directly in the folder RETAILSIM_RAW, by name: `wanted` is `transactions`
      or `calendar`. Each is a dict(path, name, format, packed), with format csv or parquet. Names are compared
      without regard to case. Whichever kind is wanted, a file that looks like data but is neither
      stops: it would be left out without a word.
      A weekly build wants the transactions of new files alone.
      Empty while dbt parses and under the lint target, which reads no data. A run or build that
      finds no file of the kind stops; compiling and generating docs go on without data.
    #}
    {% if not execute or target.name == 'lint' %}
        {% do return([]) %}
    {% endif %}
    {% set folder = env_var('RETAILSIM_RAW', 'raw_data') %}
    {% if not folder.strip() or '\\' in folder %}
        {% do raw_error('RETAILSIM_RAW is "' ~ folder ~ '". Expected the path of a folder, without \\.') %}
    {% endif %}
    {% set listed = folder_now(folder) %}

    {% set found = {'transactions': [], 'calendar': []} %}
    {% for name in listed.files %}
        {% set file = {'path': folder.rstrip('/') ~ '/' ~ name, 'name': name} %}
        {% set name = file.name | lower %}
        {% if name[0] in '._' %}
        {% elif name.startswith('transactions') %}
            {% do file.update({
                'format': 'parquet' if name.endswith('.parquet') else 'csv', 'packed': name.endswith('.gz')
            }) %}
            {% if not name.endswith(('.csv', '.csv.gz', '.parquet')) %}
                {% do raw_error(file.path ~ ': this kind of file is not read. Expected a name that ends '
                    ~ 'in .csv, .csv.gz or .parquet (unpack archives first).') %}
            {% endif %}
            {% do found.transactions.append(file) %}
        {% elif name == 'time.csv' %}
            {% do file.update({'format': 'csv', 'packed': false}) %}
            {% do found.calendar.append(file) %}
        {% elif name.endswith((
            '.csv', '.tsv', '.gz', '.parquet', '.zip', '.xlsx', '.xls', '.bz2', '.xz', '.zst', '.7z',
            '.orc', '.avro', '.feather', '.arrow'
        )) %}
            {% do raw_error(file.path ~ ': not read, since its name is neither transactions... nor '
                ~ 'time.csv. Rename it, move it to a subfolder, or choose another layout: '
                ~ 'python -m dbt_project.check says which fits.') %}
        {% endif %}
    {% endfor %}
    {% for name in listed.others %}
        {% if name | lower == 'time.csv' or (
            (name | lower).startswith('transactions')
            and (name | lower).endswith(('.csv', '.csv.gz', '.parquet'))
        ) %}
            {% do raw_error(folder.rstrip('/') ~ '/' ~ name ~ ': not a file, but a folder or a link that '
                ~ 'leads nowhere. Move the files of a folder up, or rename it.') %}
        {% endif %}
    {% endfor %}
    {% do check_same_stem(found.transactions) %}
    {% if found.calendar | length > 1 %}
        {% do raw_error(found.calendar[1].path ~ ': a second calendar beside '
            ~ found.calendar[0].name ~ '. Keep one of the two.') %}
    {% endif %}

    {% if not found[wanted] and flags.WHICH in ('run', 'build', 'retry') %}
        {% if listed.is_file %}
            {% do raw_error('RETAILSIM_RAW is the file ' ~ folder ~ '. Expected the folder that holds '
                ~ 'the raw files.') %}
        {% elif wanted == 'transactions' %}
            {% do raw_error('no transactions*.csv, .csv.gz or .parquet in the folder ' ~ folder
                ~ '. Set RETAILSIM_RAW to the folder that holds them, or make a synthetic chain: '
                ~ 'python -m dbt_project.sample') %}
        {% else %}
            {% do raw_error('no time.csv in the folder ' ~ folder ~ '. It lists the weeks, one a line: '
                ~ 'shop_week,date_from,date_to (200607,20060410,20060416).') %}
        {% endif %}
    {% endif %}
    {% set new = new_files() if wanted == 'transactions' else [] %}
    {% do return(found[wanted] | selectattr('name', 'in', new) | list if new else found[wanted]) %}
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

{% macro check_columns(file, required) %}
    {#- Stops unless the file has every required column exactly once. Others may be anything: they are
        not read. -#}
    {% set missing = [] %}
    {% set doubled = [] %}
    {% for column in required %}
        {% if column not in file.columns %}
            {% do missing.append(column | upper) %}
        {% elif file.columns.count(column) > 1 %}
            {% do doubled.append(column | upper) %}
        {% endif %}
    {% endfor %}
    {% if missing and file.columns | length == 1 %}
        {% for delimiter, label in [(';', 'semicolons'), ('\t', 'tabs'), ('|', 'vertical bars')] %}
            {% if delimiter in file.columns[0] %}
                {% do raw_error(file.path ~ ': wrong delimiter. The header is separated by '
                    ~ label ~ ', expected commas.') %}
            {% endif %}
        {% endfor %}
    {% endif %}
    {% if missing %}
        {% do raw_error(file.path ~ ': column ' ~ missing | join(', ') ~ ' missing. Found: '
            ~ (file.columns | join(','))[:400] | upper ~ '. Expected (any order, any case; SEG_1 and SEG_2 '
            ~ 'may be called CUST_PRICE_SENSITIVITY and CUST_LIFESTAGE): ' ~ required | join(',') | upper
            ~ '.') %}
    {% endif %}
    {% if doubled %}
        {% do raw_error(file.path ~ ': column ' ~ doubled | join(', ')
            ~ ' stands more than once in the header.') %}
    {% endif %}
{% endmacro %}

{% macro raw_transaction_columns() %}
    {# The columns of a transactions file under the names of the older release, in its order. #}
    {% do return([
        'shop_week', 'shop_date', 'shop_weekday', 'shop_hour', 'quantity', 'spend',
        'prod_code', 'prod_code_10', 'prod_code_20', 'prod_code_30', 'prod_code_40',
        'cust_code', 'seg_1', 'seg_2', 'basket_id', 'basket_size', 'basket_price_sensitivity',
        'basket_type', 'basket_dominant_mission', 'store_code', 'store_format', 'store_region',
    ]) %}
{% endmacro %}

{% macro raw_column_name(name) %}
    {#- The name of a column as the contract has it: lower case, the newer release's names under those
        of the older. -#}
    {%- set name = name.strip() | lower -%}
    {%- do return({'cust_price_sensitivity': 'seg_1', 'cust_lifestage': 'seg_2'}.get(name, name)) -%}
{% endmacro %}
