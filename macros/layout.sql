{#
  The layout of the source: what dbt_project/layouts/<name>.yml says. Chosen by the var `layout`, whose
  default is the environment variable RETAILSIM_LAYOUT; dbt_project.yml enables the staging models of
  the same one.
#}

{% macro layout_name() %}
    {%- do return(var('layout', none) or env_var('RETAILSIM_LAYOUT', '') or 'lgsr') -%}
{%- endmacro %}

{% macro layout() %}
    {#- A dict with the fields of dbt_project/layouts/layout.py. While dbt parses, no layout is known, and
        what is written then is not run. -#}
    {%- if not execute -%}
        {%- do return({'kinds': {}, 'categories': [], 'thresholds': {}}) -%}
    {%- endif -%}
    {%- set asked = asked_once('select layout(' ~ sql_string(layout_name()) ~ ')') -%}
    {%- set found = fromjson(asked.rows[0][0]) -%}
    {%- if found.problem -%}{%- do exceptions.raise_compiler_error(found.problem) -%}{%- endif -%}
    {%- do return(found) -%}
{%- endmacro %}

{% macro layout_version() %}
    {#- What receipts are read by: a layout's name and, where that is a YAML file of the user's, a digest
        of what it says of files and columns. -#}
    {%- set said = layout() -%}
    {%- if not said.order_lines -%}{%- do return(said.name) -%}{%- endif -%}
    {%- set mapping = tojson([said.order_lines, said.time_zone, said.repeated_lines]) -%}
    {%- do return(said.name ~ ' (version ' ~ local_md5(mapping)[:8] ~ ')') -%}
{% endmacro %}

{% macro threshold(name) %}
    {#- A share that a test allows: the var of that name where it is set, else the layout's. -#}
    {%- set share = var(name, none) -%}
    {%- do return(layout().thresholds[name] if share is none else share) -%}
{%- endmacro %}
