{#
  Says in one line why a model or test failed. dbt shows no rows of a failing test, and passes on
  DuckDB's errors with advice that does not fit this project.
#}

{% macro failure_message(result) %}
    {# One line, or '' where nothing failed. #}
    {% if result.status == 'fail' and result.node.resource_type == 'test' %}
        {% do return(first_failing_row(result.node.compiled_code)) %}
    {% elif result.status == 'error' %}
        {% do return(error_advice(result.message or '')) %}
    {% endif %}
    {% do return('') %}
{% endmacro %}

{% macro first_failing_row(sql) %}
    {# What its column `problem` says, or its columns. #}
    {% set table = run_query('select * from (' ~ sql ~ '\n) as failures limit 1') %}
    {% for row in table.rows %}
        {% if 'problem' in table.column_names %}{% do return(row['problem']) %}{% endif %}
        {% set values = [] %}
        {% for name in table.column_names %}{% do values.append(name ~ ' = ' ~ row[name]) %}{% endfor %}
        {% do return((values | join(', '))[:300]) %}
    {% endfor %}
    {% do return('') %}
{% endmacro %}

{% macro error_advice(message) %}
    {# The cause without dbt's heading and trace of macros, and what to do where that is known. #}
    {% set lines = [] %}
    {% for line in message.split('\n')[1:] if line.strip() and not line.strip().startswith('>') %}
        {% do lines.append(line.strip()) %}
    {% endfor %}
    {% do return((lines | join(' '))[:400]) %}
{% endmacro %}
