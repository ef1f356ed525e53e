{#
  The build record, tables beside the models:

  - `build_record`: one row per model and test, what became of it in the last run that selected it;
  - `build_files`: the raw files as they were when receipts were last read;
  - `build_layout`: the layout that they were in, and `build_code` a digest of what else they were
    built by;
  - `build_added`: the files that a weekly build adds (weekly.sql).

  A run enters the models that it selects as `building` before it touches anything, and what became
  of them at its end, so a run that is killed leaves them `building`. Whoever reads the warehouse
  (dbt_project/warehouse.py) decides from the record, as make does, whether its tables belong
  together and passed their tests.
#}

{% macro begin_build() %}
    {# on-run-start: checks whose tables are there, then marks the models selected. #}
    {% if not execute %}{% do return('') %}{% endif %}
    {% do check_tables_are_ours() %}
    {% do check_layout() %}
    {% do warn_of_changed_files() %}
    {% set record, files, kept = build_table('build_record'), build_table('build_files'), build_table('build_layout') %}
    {% set code, added = build_table('build_code'), build_table('build_added') %}
    {% set new_files = files_to_add() %}
    {#- What left the project, or belongs to another layout, can neither be built nor tested again. #}
    {% set known = "kind = 'unit_test' or node in ('" ~ graph.nodes | join("', '") ~ "')" %}
    {% set statements = [
        create_if_missing(record, build_record_columns()),
        create_if_missing(files, build_files_columns()),
        create_if_missing(kept, 'layout ' ~ text_type()),
        create_if_missing(code, 'digest ' ~ text_type()),
        create_if_missing(added, 'run ' ~ text_type() ~ ', source_file ' ~ text_type() ~ ', first_shop_week integer'),
    ] + keep_rows(record, known) + enter(building(selected_resources)) %}
    {% if reads_receipts(selected_resources) %}
        {% set statements = statements + [
            'truncate table ' ~ files,
            'truncate table ' ~ kept,
            'truncate table ' ~ code,
            'truncate table ' ~ added,
            'insert into ' ~ files ~ ' ' ~ raw_folder_now(),
            'insert into ' ~ kept ~ ' values (' ~ sql_string(layout_version()) ~ ')',
            'insert into ' ~ code ~ ' values (' ~ sql_string(code_digest()) ~ ')',
        ] %}
        {% for name in new_files %}
            {% do statements.append('insert into ' ~ added ~ " values ('" ~ invocation_id ~ "', "
                ~ sql_string(name) ~ ', null)') %}
        {% endfor %}
    {% endif %}
    {{ together(statements) }}
{% endmacro %}

{% macro begin_model() %}
    {# Pre-hook of every model: enters it as building where on-run-start could not, since `dbt retry`
       does not tell what it selects. #}
    {% if execute and not selected_resources %}
        {{ statements_of_hook(enter(building([model.unique_id]))) }}
    {% endif %}
{% endmacro %}

{% macro end_build(results) %}
    {# on-run-end: enters what became of models and tests, and prints why they failed. #}
    {% if not execute %}{% do return('') %}{% endif %}
    {% set models = models_by_id() %}
    {% set rows = [] %}
    {% for result in results if result.node.resource_type in ('model', 'test', 'unit_test') %}
        {% set messages = failure_messages(result) %}
        {% set name = ('warning: ' if result.status == 'warn' else '') ~ result.node.name %}
        {% for message in messages %}{% do print(name ~ ': ' ~ message) %}{% endfor %}
        {% set parents = result.node.depends_on.nodes | select('in', models) | list %}
        {% do rows.append([
            result.node.unique_id, result.node.resource_type, result.status,
            messages | first | default(''), tojson(parents)
        ]) %}
    {% endfor %}
    {{ together(enter(rows)) }}
{% endmacro %}

{% macro build_record_columns() %}
    {#- `node` is dbt's unique id and `status` its word, or building; `entry` counts what was
        entered, together in one run; `depends_on` is a JSON list of models. -#}
    {%- set text = text_type() -%}
    {%- do return('node ' ~ text ~ ', kind ' ~ text ~ ', status ' ~ text ~ ', message ' ~ text
        ~ ', depends_on ' ~ text ~ ', entry bigint, run_started_at ' ~ timestamp_type()) -%}
{% endmacro %}

{% macro build_files_columns() %}
    {%- do return('source_file ' ~ text_type() ~ ', bytes bigint, modified_at ' ~ timestamp_type()) -%}
{% endmacro %}

{% macro build_table(name) %}
    {%- do return(api.Relation.create(
        database=target.database | default(none), schema=target.schema, identifier=name)) -%}
{% endmacro %}

{% macro models_by_id() %}
    {# The project's models: dbt's unique id -> name of the table or view. #}
    {% set models = {} %}
    {% for node in graph.nodes.values() if node.resource_type == 'model' %}
        {% do models.update({node.unique_id: node.alias}) %}
    {% endfor %}
    {% do return(models) %}
{% endmacro %}

{% macro reads_receipts(nodes) %}
    {%- do return('model.retailsim.stg_transactions' in nodes) -%}
{% endmacro %}

{% macro building(nodes) %}
    {#- Rows for `enter`. -#}
    {% set rows = [] %}
    {% for node in nodes | select('in', models_by_id()) %}
        {% do rows.append([node, 'model', 'building', '', '[]']) %}
    {% endfor %}
    {% do return(rows) %}
{% endmacro %}

{% macro enter(rows) %}
    {# Statements that enter rows (node, kind, status, message, depends_on) in place of the nodes'
       earlier ones. #}
    {% if not rows %}{% do return([]) %}{% endif %}
    {% set record = build_table('build_record') %}
    {% set insert %}
    insert into {{ record }}
    select
        entered.*,
        (select coalesce(max(entry), 0) + 1 from {{ record }}),
        timestamp '{{ run_started_at.replace(tzinfo=none) }}'
    from (
        values
        {% for row in rows %}
        ({% for value in row %}{{ sql_string(value | string) }}{{ ', ' if not loop.last }}{% endfor %})
        {{- ',' if not loop.last }}
        {% endfor %}
    ) as entered
    {% endset %}
    {% set latest = '(node, entry) in (select node, max(entry) from ' ~ record ~ ' group by node)' %}
    {% do return([insert] + keep_rows(record, latest)) %}
{% endmacro %}

{% macro check_tables_are_ours() %}
    {# Stops before a table or view is replaced that this project did not make. #}
    {% set present = tables_present() %}
    {% for table, described in [
        ('build_record', build_record_columns()), ('build_files', build_files_columns())
    ] if table in present %}
        {% set columns = [] %}
        {% for row in run_query('describe ' ~ build_table(table)).rows %}
            {% do columns.append((row[0] ~ ' ' ~ row[1]) | lower) %}
        {% endfor %}
        {% if columns | join(', ') != described %}{% do foreign_table(table) %}{% endif %}
    {% endfor %}
    {% set ours = [] %}
    {% if 'build_record' in present %}
        {% for row in run_query('select node from ' ~ build_table('build_record')).rows %}
            {% do ours.append(row[0]) %}
        {% endfor %}
    {% endif %}
    {% for node, name in models_by_id().items() | sort %}
        {% if name | lower in present and node not in ours %}{% do foreign_table(name) %}{% endif %}
    {% endfor %}
{% endmacro %}

{% macro check_layout() %}
    {# Stops a run on what was read in another layout; a run that reads receipts anew drops the tables
       that only the other had. #}
    {% set now = layout_version() %}
    {% if not load_relation(build_table('build_layout')) %}{% do return('') %}{% endif %}
    {% for row in run_query('select layout from ' ~ build_table('build_layout')).rows if row[0] != now %}
        {% if not reads_receipts(selected_resources) %}
            {% do exceptions.raise_compiler_error(
                warehouse_place() ~ ' holds receipts in the layout ' ~ row[0] ~ ', and this '
                ~ 'run is for ' ~ now ~ '. Set RETAILSIM_LAYOUT (or the var layout), or read receipts '
                ~ 'anew: dbt build'
            ) %}
        {% endif %}
        {% for left in run_query('select node from ' ~ build_table('build_record')
            ~ " where kind = 'model'").rows if left[0] not in graph.nodes %}
            {% set relation = load_relation(build_table(left[0].split('.')[2])) %}
            {% if relation %}{% do adapter.drop_relation(relation) %}{% endif %}
        {% endfor %}
    {% endfor %}
{% endmacro %}

{% macro foreign_table(name) %}
    {% do exceptions.raise_compiler_error(
        warehouse_place() ~ ' holds a table ' ~ name ~ ' that this project did not make'
        ~ ' (or an earlier version did), and would be replaced. Name another '
        ~ ('folder' if target.type == 'spark' else 'file') ~ ' in ' ~ warehouse_place().split(':')[0]
        ~ ', or move this one away.'
    ) %}
{% endmacro %}

{% macro warn_of_changed_files() %}
    {# A run of models that do not read receipts builds on what was read before. #}
    {% set models = selected_resources | select('in', models_by_id()) | list %}
    {% set record = load_relation(build_table('build_files')) %}
    {% if models and record and not reads_receipts(models) %}
        {% set now, read = raw_folder_now(), 'select * from ' ~ record %}
        {% set changed = run_query(
            'with present as (' ~ now ~ '), past as (' ~ read ~ '),'
            ~ ' differing as ((from present except from past) union (from past except from present))'
            ~ ' select distinct source_file from differing where exists (from present) order by 1'
        ).rows %}
        {% if changed %}
            {#- Printed, not exceptions.warn: --quiet would hide that. #}
            {% do print(
                'warning: raw files were added, changed or removed since receipts were last read ('
                ~ changed[0][0] ~ (' and ' ~ (changed | length - 1) ~ ' more' if changed | length > 1 else '')
                ~ '), and the models selected do not read them: dbt build --select stg_transactions+'
            ) %}
        {% endif %}
    {% endif %}
{% endmacro %}
