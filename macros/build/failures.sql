{#
  Says why a model or test failed, a line each. dbt shows no rows of a failing test, and passes on
  DuckDB's errors with advice that does not fit this project.
#}

{% macro failure_messages(result) %}
    {# Empty where nothing failed. #}
    {% if result.status in ('fail', 'warn') and result.node.resource_type == 'test' %}
        {% do return(failing_rows(result.node.compiled_code)) %}
    {% elif result.status == 'error' %}
        {% do return([error_advice(result.message or '')]) %}
    {% endif %}
    {% do return([]) %}
{% endmacro %}

{% macro failing_rows(sql) %}
    {# The first rows that a test returned: what their column `problem` says, or all columns. #}
    {% set messages = [] %}
    {% set table = run_query('select * from (' ~ sql ~ '\n) as failures limit 5') %}
    {% for row in table.rows %}
        {% if 'problem' in table.column_names %}
            {% do messages.append(row['problem']) %}
        {% else %}
            {% set values = [] %}
            {% for name in table.column_names %}{% do values.append(name ~ ' = ' ~ row[name]) %}{% endfor %}
            {% do messages.append((values | join(', '))[:300]) %}
        {% endif %}
    {% endfor %}
    {% do return(messages) %}
{% endmacro %}

{% macro error_advice(message) %}
    {# The file or setting, the cause and the remedy of an error of DuckDB, where they are known;
       else the error without dbt's heading and its trace of macros. #}
    {% set search = modules.re.search %}
    {% set file = search("[^'\"\\n=]*\\.(csv|gz|parquet)\\b", message, modules.re.IGNORECASE) %}
    {% set file = file[0].split(': ')[-1].strip() if file else 'a raw file' %}
    {#- What this project says itself is clear. #}
    {% if message.startswith('Compilation Error') %}
    {% elif search(
        'GZIP stream|magic bytes|too small to be a Parquet|Failed to read file|decompress|TProtocol',
        message
    ) %}
        {% do return(file ~ ': damaged or cut short. Copy or make it again') %}
    {% elif search('No space left|max_temp_directory_size', message) %}
        {% do return('the disk is full. Make room, or name other places in RETAILSIM_DB and'
            ~ ' RETAILSIM_TMP') %}
    {% elif search('Out of Memory', message) %}
        {% do return('out of memory. Raise RETAILSIM_MEMORY or lower RETAILSIM_THREADS (and leave'
            ~ ' the order of insertion as it is, whatever DuckDB advises: line numbers rely on it)') %}
    {% endif %}
    {% set lines = [] %}
    {#- Spark's errors come without dbt's heading. -#}
    {% for line in modules.re.sub('^\\w+ Error( in .*)?\\n', '', message).split('\n')
        if line.strip() and not line.strip().startswith('>') %}
        {% do lines.append(line.strip()) %}
    {% endfor %}
    {#- The last line of a stack trace says it all. #}
    {% do return((lines[-1] if 'Traceback' in message else lines | join(' '))[:400]) %}
{% endmacro %}
