{#
  What builds need of an engine to store and replace rows: DuckDB has transactions and deletes rows, Spark does
  neither.
#}

{% macro together(statements) %}
    {#- SQL of a hook of a run: the statements, all or none where the engine has transactions. -#}
    {%- set begin, end = ([], []) if target.type == 'spark' else (['begin transaction'], ['commit']) -%}
    {{ statements_of_hook(begin + statements + end) }}
{% endmacro %}

{% macro statements_of_hook(statements) %}
    {{- adapter.dispatch('statements_of_hook', 'retailsim')(statements) -}}
{% endmacro %}

{% macro default__statements_of_hook(statements) %}
    {#- SQL of a hook: the statements. Those of a model's hook are in its transaction. -#}
    {{ statements | join(';\n') }}
{% endmacro %}

{% macro spark__statements_of_hook(statements) %}
    {#- Runs them one by one, since Spark takes one at a time; there is nothing left for the hook. -#}
    {% for sql in statements %}
        {% call statement(auto_begin=false) %}{{ sql }}{% endcall %}
    {% endfor %}
{% endmacro %}

{% macro tables_present() %}
    {{- return(adapter.dispatch('tables_present', 'retailsim')()) -}}
{% endmacro %}

{% macro default__tables_present() %}
    {#- Names of the tables and views that are there, in lower case. -#}
    {%- set tables = run_query('select lower(table_name) from information_schema.tables'
        ~ ' where table_catalog = ' ~ sql_string(target.database)
        ~ ' and table_schema = ' ~ sql_string(target.schema)) -%}
    {%- do return(tables.columns[0].values() | list) -%}
{% endmacro %}

{% macro spark__tables_present() %}
    {%- do return(run_query('show tables in ' ~ target.schema).columns['tableName'].values() | list) -%}
{% endmacro %}

{% macro create_if_missing(table, columns) %}
    {%- do return('create table if not exists ' ~ table ~ ' (' ~ columns ~ ')'
        ~ (' using parquet' if target.type == 'spark' else '')) -%}
{% endmacro %}

{% macro keep_rows(table, condition) %}
    {{- return(adapter.dispatch('keep_rows', 'retailsim')(table, condition)) -}}
{% endmacro %}

{% macro default__keep_rows(table, condition) %}
    {#- Statements that delete the rows of a table that do not fulfil a condition. -#}
    {%- do return(['delete from ' ~ table ~ ' where not (' ~ condition ~ ')']) -%}
{% endmacro %}

{% macro spark__keep_rows(table, condition) %}
    {%- do return(replace_rows(table, condition)) -%}
{% endmacro %}

{% macro replace_rows(table, condition, query=none) %}
    {#- Statements for Spark: the rows of a table that fulfil a condition, and those of a query. -#}
    {%- set kept = table ~ '_kept' -%}
    {%- do return([
        'drop table if exists ' ~ kept,
        'create table ' ~ kept ~ ' using parquet as select * from ' ~ table ~ ' where ' ~ condition
        ~ (' union all ' ~ query if query else ''),
        'drop table ' ~ table,
        'alter table ' ~ kept ~ ' rename to ' ~ table,
    ]) -%}
{% endmacro %}

{% macro replace_partitions(table, column, first, query) %}
    {#- Statements for Spark: the rows of a query in place of those with `first` and more in the column by which the
        table is partitioned. -#}
    {%- set old, statements = [], [] -%}
    {%- for (partition,) in run_query('show partitions ' ~ table).rows -%}
        {%- if partition.rpartition('=')[2] | int >= first -%}{%- do old.append('partition (' ~ partition ~ ')') -%}{%- endif -%}
    {%- endfor -%}
    {%- if old -%}{%- do statements.append('alter table ' ~ table ~ ' drop ' ~ old | join(', ')) -%}{%- endif -%}
    {%- do return(statements + ['insert into ' ~ table ~ ' by name ' ~ of_few_files(query, column)]) -%}
{% endmacro %}

{% macro of_few_files(query, column) %}
    {#- SQL for Spark: a query whose rows are stored by a column, those of each value in few files. -#}
    {%- do return('select /*+ rebalance(' ~ column ~ ') */ * from (\n' ~ query ~ '\n) as rows_to_store') -%}
{% endmacro %}

{% macro spark__create_table_as(temporary, relation, compiled_code, language='sql') %}
    {#- Overrides dbt-spark's macro, which cannot say how the rows of a partitioned table are shared out to files. -#}
    {%- if temporary -%}
        {{ create_temporary_view(relation, compiled_code) }}
    {%- else -%}
        {%- set query, column = compiled_code, partition_column() -%}
        {%- if config.get('contract').enforced -%}
            {{ get_assert_columns_equivalent(query) }}
            {%- set query = get_select_subquery(query) -%}
        {%- endif -%}
        create table {{ relation }} using parquet
        {{ 'partitioned by (' ~ column ~ ')' if column }}
        as {{ of_few_files(query, column) if column else query }}
    {%- endif -%}
{% endmacro %}

{% macro text_type() %}
    {#- As the engine itself says it of a column. -#}
    {%- do return('string' if target.type == 'spark' else 'varchar') -%}
{% endmacro %}

{% macro timestamp_type() %}
    {%- do return('timestamp_ntz' if target.type == 'spark' else 'timestamp') -%}
{% endmacro %}

{% macro warehouse_place() %}
    {#- What names the warehouse, and which it is. -#}
    {%- if target.type == 'spark' -%}
        {%- do return('RETAILSIM_SPARK_WAREHOUSE: '
            ~ env_var('RETAILSIM_SPARK_WAREHOUSE', 'spark_warehouse')) -%}
    {%- endif -%}
    {%- do return('RETAILSIM_DB: ' ~ target.path) -%}
{% endmacro %}
