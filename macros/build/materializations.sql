{#
  How models are stored that need not be made anew as a whole (weekly.sql). In a full build all of them are
  tables.

  - `weekly`: keeps the rows of earlier weeks. meta.by names the column that tells, unless it is `week`. On Spark
    the table has a folder for each of its values, unless meta.few_rows says that rewriting it is quicker.
    meta.of_lines: rows are lines, some of which have none; these are made anew.
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
    {%- set meta = config.get('meta', {}) -%}
    {%- set by = meta.get('by', 'week') -%}
    {%- set first = first_changed(by) -%}
    {%- if first is none -%}{%- do return(none) -%}{%- endif -%}
    {%- set changed = by ~ ' >= ' ~ first -%}
    {%- if meta.get('of_lines') -%}{%- set changed = '(' ~ changed ~ ' or ' ~ by ~ ' is null)' -%}{%- endif -%}
    {%- set query = 'select * from (\n' ~ sql ~ '\n) as made where ' ~ changed -%}
    {%- if partition_column() -%}
        {%- do return(replace_partitions(this, by, first, query)) -%}
    {%- elif target.type == 'spark' -%}
        {%- do return(replace_rows(this, 'not (' ~ changed ~ ')', query)) -%}
    {%- endif -%}
    {%- do return(['delete from ' ~ this ~ ' where ' ~ changed, 'insert into ' ~ this ~ ' ' ~ query]) -%}
{% endmacro %}

{% macro partition_column() %}
    {#- By which Spark cuts the table of a model into folders; none where it does not. -#}
    {%- set meta = config.get('meta', {}) -%}
    {%- if target.type != 'spark' or config.get('materialized') != 'weekly' or meta.get('few_rows') -%}
        {%- do return(none) -%}
    {%- endif -%}
    {%- do return(meta.get('by', 'week')) -%}
{% endmacro %}

{% macro rows_of_new_files() %}
    {%- do return(['insert into ' ~ this ~ ' ' ~ sql] if new_files() else none) -%}
{% endmacro %}

{% macro nothing_of_training() %}
    {%- do return([] if first_changed('week') else none) -%}
{% endmacro %}

{% macro never_without_files() %}
    {#- Writes a file without rows for a table in folders that has no file: without Spark, its columns are known from its
        files alone. -#}
    {%- set column = partition_column() -%}
    {%- if column and not run_query('show partitions ' ~ this).rows -%}
        {%- set folder = [env_var('RETAILSIM_SPARK_WAREHOUSE', 'spark_warehouse'), target.schema ~ '.db', this.identifier,
            column ~ '=0'] | join('/') -%}
        {#- As into a folder of its own: an insert of no rows writes nothing. -#}
        {%- do run_query('insert overwrite directory ' ~ sql_string(folder) ~ ' using parquet'
            ~ ' select * except (' ~ column ~ ') from ' ~ this ~ ' where false') -%}
    {%- endif -%}
{% endmacro %}

{% macro kept_or_made(statements) %}
    {#- Runs statements on the table that is there or, where there are none, makes it as dbt does. -#}
    {%- set has_transactions = target.type != 'spark' -%}
    {%- if statements is none -%}
        {%- if has_transactions -%}{%- do return(dbt.materialization_table_duckdb()) -%}{%- endif -%}
        {%- set made = dbt.materialization_table_spark() -%}
        {{ never_without_files() }}
        {%- do return(made) -%}
    {%- endif -%}
    {{ run_hooks(pre_hooks) }}
    {%- for sql in statements -%}
        {%- call statement('main') -%}{{ sql }}{%- endcall -%}
    {%- else -%}
        {%- call noop_statement('main', 'KEPT') -%}{%- endcall -%}
    {%- endfor -%}
    {{ never_without_files() }}
    {{ run_hooks(post_hooks) }}
    {%- if has_transactions %}{% do adapter.commit() %}{% endif -%}
    {%- do return({'relations': [this]}) -%}
{% endmacro %}
