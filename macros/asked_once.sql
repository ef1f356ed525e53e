{% macro asked_once(sql) %}
    {#- What a query answers, asked once in a run: for what every model wants to know. The graph is what all of a
        run's models share; a process that runs dbt more than once may keep it. -#}
    {%- set answers, asked = graph.setdefault('answers', {}), (invocation_id, sql) -%}
    {%- if asked not in answers -%}{%- do answers.update({asked: run_query(sql)}) -%}{%- endif -%}
    {%- do return(answers[asked]) -%}
{% endmacro %}
