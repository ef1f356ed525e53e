{% macro raw_folder_now() %}
    {#- SQL that lists the raw files as they are now: name, bytes and time of the last change (UTC). Reads
        no contents. Empty where the folder is not there. -#}
    select
        parse_filename(filename) as source_file,
        size::bigint as bytes,
        make_timestamp(epoch_us(last_modified)) as modified_at
    from read_blob({{ sql_string(raw_path(env_var('RETAILSIM_RAW', 'raw_data')) ~ '/*') }})
    where {{ holds_receipts('source_file') }} or {{ is_like_any('source_file', raw_other_files()) }}
{%- endmacro %}

{% macro holds_receipts(name) -%}
    {#- Whether a file of the raw folder is one of receipts, by its name. -#}
    {%- set lines = layout().order_lines -%}
    (
        {{ is_like_any(name, lines.files if lines else ['transactions*']) }}
        and not {{ is_like_any(name, raw_other_files()) }}
    )
{%- endmacro %}

{% macro raw_other_files() %}
    {%- set lines = layout().order_lines -%}
    {%- do return(lines.lookups | list if lines else ['time.csv']) -%}
{% endmacro %}

{% macro is_like_any(name, patterns) -%}
    {#- Whether a file's name is one of a list in which * and ? stand for any characters. -#}
    (
        {%- for pattern in patterns -%}
        lower({{ name }}) glob lower({{ sql_string(pattern) }}) or{{ ' ' }}
        {%- endfor -%}
        false
    )
{%- endmacro %}
