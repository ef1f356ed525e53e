{#
  How models are stored that need not be made anew as a whole (weekly.sql). In a full build all of them are
  tables.

  - `weekly`: keeps the rows of earlier weeks. meta.by names the column that tells, unless it is `week`.
  - `by_file`: its query reads the new files, whose rows are added.
  - `of_training`: depends on training weeks alone, and stays as it is when these do.
#}

{% materialization weekly, default %}
    {{ return(kept_or_made(rows_of_changed_weeks())) }}
{% endmaterialization %}

{% materialization by_file, default %}
    {{ return(kept_or_made(rows_of_new_files())) }}
{% endmaterialization %}

{% materialization of_training, default %}
    {{ return(kept_or_made(nothing_of_training())) }}
{% endmaterialization %}

{% macro rows_of_changed_weeks() %}
    {#- Statements, or none for a full build. -#}
    {%- set by = config.get('meta', {}).get('by', 'week') -%}
    {%- set first = first_changed(by) -%}
    {%- if first is none -%}{%- do return(none) -%}{%- endif -%}
    {%- set query = 'select * from (\n' ~ sql ~ '\n) as made where ' ~ by ~ ' >= ' ~ first -%}
    {%- if target.type == 'spark' -%}
        {%- do return(replace_rows(this, by ~ ' < ' ~ first, query)) -%}
    {%- endif -%}
    {%- do return(['delete from ' ~ this ~ ' where ' ~ by ~ ' >= ' ~ first, 'insert into ' ~ this ~ ' ' ~ query]) -%}
{% endmacro %}

{% macro rows_of_new_files() %}
    {%- do return(['insert into ' ~ this ~ ' ' ~ sql] if new_files() else none) -%}
{% endmacro %}

{% macro nothing_of_training() %}
    {%- do return([] if first_changed('week') else none) -%}
{% endmacro %}

{% macro kept_or_made(statements) %}
    {#- Runs statements on the table that is there or, where there are none, makes it as dbt does. -#}
    {%- set has_transactions = target.type != 'spark' -%}
    {%- if statements is none -%}
        {%- do return(dbt.materialization_table_duckdb() if has_transactions else dbt.materialization_table_spark()) -%}
    {%- endif -%}
    {{ run_hooks(pre_hooks) }}
    {%- for sql in statements -%}
        {%- call statement('main') -%}{{ sql }}{%- endcall -%}
    {%- else -%}
        {%- call noop_statement('main', 'KEPT') -%}{%- endcall -%}
    {%- endfor -%}
    {{ run_hooks(post_hooks) }}
    {%- if has_transactions %}{% do adapter.commit() %}{% endif -%}
    {%- do return({'relations': [this]}) -%}
{% endmacro %}
