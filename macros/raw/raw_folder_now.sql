{% macro raw_folder_now() %}
    {#- SQL that lists the raw files as they are now: name, bytes and time of the last change (UTC). Reads
        no contents. Empty where the folder is not there. -#}
    select
        parse_filename(filename) as source_file,
        size::bigint as bytes,
        make_timestamp(epoch_us(last_modified)) as modified_at
    from read_blob({{ sql_string(raw_path(env_var('RETAILSIM_RAW', 'raw_data')) ~ '/*') }})
    where lower(source_file) like 'transactions%' or lower(source_file) = 'time.csv'
{%- endmacro %}
