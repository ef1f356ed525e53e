{#
  Weekly builds. What happens in a week never depends on a later one, so where all that has changed is
  that files were added, every row of a week before the first that they hold lines of is as it was. Such a
  build reads the new files alone, and models make the rows from that week on.

  Any other build is a full one. The table `build_added` says which a run is: it has a row for each file
  that a weekly build adds, and once they are staged another with the first `shop_week` of its lines.
#}

{% macro files_to_add() %}
    {# on-run-start: names of the files that this run adds to what is built; none for a full build. #}
    {% set models = models_by_id() %}
    {% if flags.FULL_REFRESH or models | reject('in', selected_resources) | list %}{% do return([]) %}{% endif %}
    {% for table in ['build_record', 'build_files', 'build_code'] %}
        {% if not load_relation(build_table(table)) %}{% do return([]) %}{% endif %}
    {% endfor %}
    {% if models.values() | map('lower') | reject('in', tables_present()) | list %}{% do return([]) %}{% endif %}
    {#- All of one run, and no more or less: together they are what the files were. #}
    {% set built = run_query('select node, status, entry from ' ~ build_table('build_record')
        ~ " where kind = 'model'").rows %}
    {% if built | map(attribute=0) | sort != models | sort
        or built | map(attribute=1) | unique | list != ['success']
        or built | map(attribute=2) | unique | list | length != 1 %}
        {% do return([]) %}
    {% endif %}
    {% set past, now = {}, {} %}
    {% for files, query in [
        (past, 'select * from ' ~ build_table('build_files')), (now, raw_folder_now())
    ] %}
        {% for row in run_query('select *, ' ~ holds_receipts('source_file') ~ ' from (' ~ query ~ ') as files').rows %}
            {% do files.update({row[0]: (row[1], row[2] | string, row[3])}) %}
        {% endfor %}
    {% endfor %}
    {% set added = now | reject('in', past) | sort(case_sensitive=true) %}
    {% set changed = [] %}
    {% for name, file in past.items() if now.get(name) != file %}{% do changed.append(name) %}{% endfor %}
    {% if not added and not changed %}{% do return([]) %}{% endif %}
    {% set split = ['train_last_week', 'validation_last_week', 'test_last_week'] %}
    {% set last = names_of_receipts(past) | sort(case_sensitive=true) | last %}
    {% set early = [] %}
    {% for name in added if name < last or not now[name][2] %}{% do early.append(name) %}{% endfor %}
    {#- A file that comes while a build begins may be read, though its list of files is without it. #}
    {% set read = run_query('select source_file from ' ~ build_table('files_read')).columns[0].values() %}
    {% set again = added | select('in', read) | list %}
    {% if changed %}
        {% set reason = changed | sort | first ~ ' was changed or removed' %}
    {% elif again %}
        {% set reason = again[0] ~ ' was read already' %}
    {% elif early %}
        {% set reason = early[0] ~ (' comes before ' ~ last ~ ' by its name' if now[early[0]][2] else ' is new') %}
    {% elif layout_name() == 'complete_journey' %}
        {% set reason = 'this layout has one file of receipts' %}
    {% elif var(split[0], none) is none %}
        {% set reason = 'without the vars ' ~ split | join(', ') ~ ' the split moves with every week' %}
    {% elif run_query('select digest from ' ~ build_table('build_code')).rows[0][0] != code_digest() %}
        {% set reason = 'the project or its vars were changed since the last' %}
    {% else %}
        {% do print('Weekly build: adds ' ~ added[0]
            ~ (' and ' ~ (added | length - 1) ~ ' more' if added | length > 1 else '')) %}
        {% do return(added) %}
    {% endif %}
    {% do print('Full build, since ' ~ reason) %}
    {% do return([]) %}
{% endmacro %}

{% macro names_of_receipts(files) %}
    {% set names = [] %}
    {% for name, file in files.items() if file[2] %}{% do names.append(name) %}{% endfor %}
    {% do return(names) %}
{% endmacro %}

{% macro code_digest() %}
    {#- Of everything but the receipts that the tables depend on. -#}
    {%- set said = tojson([invocation_args_dict.vars | string, layout_version(), target.name]) -%}
    {%- do return(fromjson(run_query('select project_digest(' ~ sql_string(said) ~ ')').rows[0][0])) -%}
{% endmacro %}

{% macro is_a_build() %}
    {#- Whether a model is compiled to be run. Unit tests have rows of their own, not those of files. -#}
    {%- do return(
        execute and target.name != 'lint' and flags.WHICH in ('run', 'build')
        and model.resource_type != 'unit_test'
    ) -%}
{% endmacro %}

{% macro new_files() %}
    {#- Names of the files that this run adds, in order; none in a full build. -#}
    {%- if not is_a_build() -%}{%- do return([]) -%}{%- endif -%}
    {%- do return(asked_once('select distinct source_file from ' ~ build_table('build_added')
        ~ " where run = '" ~ invocation_id ~ "' order by source_file").columns[0].values() | list) -%}
{% endmacro %}

{% macro enter_first_weeks() %}
    {#- Post-hook of staged lines: the first week of each new file. Lines that are no sales count too: where there is
        no calendar but the dates, weeks are numbered from the first date of any line. -#}
    {%- set files = new_files() -%}
    {%- if files -%}
    insert into {{ build_table('build_added') }}
    select '{{ invocation_id }}', source_file, min(shop_week)
    from {{ this }}
    where {{ is_one_of_files(files) }}
    group by source_file
    {%- endif -%}
{% endmacro %}

{% macro is_one_of_files(files) -%}
    {%- set names = [] -%}
    {%- for name in files %}{% do names.append(sql_string(name)) %}{% endfor -%}
    source_file in ({{ names | join(', ') }})
{%- endmacro %}

{% macro first_changed(column) %}
    {#-
      In a weekly build the value of a column from which on rows are made anew; none in a full build.
      Columns: shop_week, and any other that counts weeks. 0, which is all, where a new line is of the
      training weeks, since rows of any week may depend on these. (Less where a mistyped shop_week is negative.)
    -#}
    {%- if not new_files() -%}{%- do return(none) -%}{%- endif -%}
    {%- set shop_week, week = asked_once(first_changes()).rows[0] -%}
    {%- if week <= var('train_last_week') -%}
        {%- do return([shop_week, 0] | min if column == 'shop_week' else 0) -%}
    {%- endif -%}
    {%- do return(shop_week if column == 'shop_week' else week) -%}
{% endmacro %}

{% macro first_changes() -%}
    {#- SQL: the first shop_week and the first week whose rows change: those of the new lines, or beyond all weeks if
        these have none. The week after the last trip so far may be earlier: it has rows of its own, of all customers,
        which do not stay once a later week has trips. 0, which is all, where there are no weeks yet. -#}
    with added as (
        select coalesce(min(first_shop_week), 2147483647) as shop_week
        from {{ build_table('build_added') }}
        where run = '{{ invocation_id }}'
    ),

    built as (
        select max(week) + 1 as week
        from {{ build_table('int_checked_baskets') }}
        where reject_reason is null
    )

    select
        added.shop_week,
        coalesce(least(
            built.week,
            coalesce(min(case when weeks.shop_week >= added.shop_week then weeks.week end), max(weeks.week) + 1)
        ), 0) as week
    from added
    cross join built
    left join {{ build_table('stg_weeks') }} as weeks on true
    group by added.shop_week, built.week
{%- endmacro %}

{% macro changed_since(column) -%}
    {#- SQL: whether a row may be new, by a column that `first_changed` knows. Models say it where the engine
        would otherwise work out rows of earlier weeks, which are not stored. -#}
    {%- set first = first_changed(column.split('.')[-1]) -%}
    {{ 'true' if first is none else column ~ ' >= ' ~ first }}
{%- endmacro %}

{% macro kept_rows(columns, by) -%}
    {#- FROM clause: the rows of the model itself that a weekly build keeps; of a full build none.
        columns: their types by their names. -#}
    {%- set first = first_changed(by) -%}
    (
        select
            {%- for name, type in columns.items() %}
            {{ name if first is not none else 'null::' ~ type ~ ' as ' ~ name }}{{ ',' if not loop.last }}
            {%- endfor %}
        {{ 'where false' if first is none else 'from ' ~ this ~ ' where ' ~ by ~ ' < ' ~ first }}
    )
{%- endmacro %}

{% macro before_changes(week) -%}
    {#- SQL: the week, where all weeks that a weekly build keeps count as the last of them. For sums over
        earlier weeks. -#}
    {%- set first = first_changed('week') -%}
    {{ week if first is none else 'greatest(' ~ week ~ ', ' ~ (first - 1) ~ ')' }}
{%- endmacro %}
