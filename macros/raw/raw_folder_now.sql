{% macro raw_folder_now() %}
    {#- SQL that lists the raw files as they are now: name, bytes and time of the last change (UTC). Reads
        no contents. Empty where the folder is not there. -#}
    select
        parse_filename(filename) as source_file,
        size::bigint as bytes,
        make_timestamp(epoch_us(last_modified)) as modified_at
    from read_blob({{ sql_string(raw_path(env_var('RETAILSIM_RAW', 'raw_data')) ~ '/*') }})
    where
        {{ holds_receipts('source_file') }}
        {%- for pattern in (layout().order_lines.lookups if layout().order_lines else ['time.csv']) %}
        or lower(source_file) glob lower({{ sql_string(pattern) }})
        {%- endfor %}
{%- endmacro %}

{% macro holds_receipts(name) -%}
    {#- Whether a file of the raw folder is one of receipts, by its name. -#}
    (
        {%- for pattern in (layout().order_lines.files if layout().order_lines else ['transactions*']) -%}
        lower({{ name }}) glob lower({{ sql_string(pattern) }}){{ ' or ' if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}
