{% macro raw_folder_now() %}
    {%- set folder = env_var('RETAILSIM_RAW', 'raw_data') -%}
    {%- for name in folder_now(folder).unsayable -%}
        {%- do raw_error(folder.rstrip('/') ~ '/' ~ name ~ ': its name is not UTF-8, or holds a \\. Rename it.') -%}
    {%- endfor -%}
    {{- adapter.dispatch('raw_folder_now', 'retailsim')() -}}
{% endmacro %}

{% macro default__raw_folder_now() %}
    {#- SQL that lists the raw files as they are now: name, bytes and time of the last change (UTC). Reads
        no contents. Empty where the folder is not there. -#}
    select
        parse_filename(filename) as source_file,
        size::bigint as bytes,
        make_timestamp(epoch_us(last_modified)) as modified_at
    from read_blob({{ sql_string(raw_path(env_var('RETAILSIM_RAW', 'raw_data')) ~ '/*') }})
    where {{ is_raw_file('source_file') }}
{%- endmacro %}

{% macro spark__raw_folder_now() %}
    {%- set folder = env_var('RETAILSIM_RAW', 'raw_data').rstrip('/') -%}
    {%- set files = [] -%}
    {%- for name in folder_now(folder).files if name[0] not in '._' -%}
        {%- do files.append({'name': name, 'path': folder ~ '/' ~ name}) -%}
    {%- endfor -%}
    {%- if files %}
    select
        source_file,
        bytes,
        modified_at
    from (
        select
            {{ file_name('_metadata.file_name') }} as source_file,
            length as bytes,
            modificationTime::timestamp_ntz as modified_at
        from binaryFile.{{ spark_paths(files) }}
    ) as files
    where {{ is_raw_file('source_file') }}
    {%- else %}
    select
        null::string as source_file,
        null::bigint as bytes,
        null::timestamp_ntz as modified_at
    where false
    {%- endif %}
{%- endmacro %}

{% macro file_name(path) %}
    {{- adapter.dispatch('file_name', 'retailsim')(path) -}}
{% endmacro %}

{% macro default__file_name(path) %}
    {#- The name of a file that was read. Spark says that alone, but as URLs have it: %20 for a blank. -#}
    parse_filename({{ path }}, false, 'forward_slash')
{%- endmacro %}

{% macro spark__file_name(path) %}
    url_decode(replace({{ path }}, '+', '%2B'))
{%- endmacro %}

{% macro is_raw_file(name) -%}
    {#- Whether a file of the raw folder is read, by its name. -#}
    ({{ holds_receipts(name) }} or {{ is_like_any(name, raw_other_files()) }})
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
    {#- Whether a file's name is one of a list in which * and ? stand for any characters. Names that begin with
        . or _ are no data. -#}
    (
        left({{ name }}, 1) not in ('.', '_') and (
        {%- for pattern in patterns -%}
        {%- set expression = modules.re.escape(pattern | lower) | replace('\\*', '(?s:.*)') | replace('\\?', '(?s:.)') -%}
        {{ matches('lower(' ~ name ~ ')', expression) }} or{{ ' ' }}
        {%- endfor -%}
        false)
    )
{%- endmacro %}
