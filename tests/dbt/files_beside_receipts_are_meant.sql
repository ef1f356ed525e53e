-- Of a folder in a layout of one's own, a file may be one of receipts though the layout does not
-- name it, such as that of the next month.
{{ config(severity='warn') }}
-- depends_on: {{ ref('stg_transactions') }}
{% set endings = ('.csv', '.tsv', '.gz', '.parquet') %}
{% set files = [] %}
{% if execute and target.name != 'lint' and layout().order_lines %}
    {% for name in folder_now(env_var('RETAILSIM_RAW', 'raw_data')).files %}
        {% if name[0] not in '._' and (name | lower).endswith(endings) %}
            {% do files.append(name) %}
        {% endif %}
    {% endfor %}
{% endif %}
with files as (
    {% for name in files %}
        select {{ sql_string(name) }} as source_file
        union all
    {% endfor %}
    select null::string as source_file
)

select
    min(source_file) || case when count(*) > 1 then ' and ' || (count(*) - 1) || ' more' else '' end
    || ': not read, since the layout names it neither in `files` nor in `lookups`' as problem
from files
where source_file is not null and not {{ is_raw_file('source_file') }}
having count(*) > 0
