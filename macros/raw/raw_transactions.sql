{% macro raw_ids() %}
    {% do return(['basket_id', 'cust_code', 'prod_code', 'store_code']) %}
{% endmacro %}

{% macro raw_transactions() %}
    {#
      SQL that selects every line of every transactions file as text: the contract's columns (null where
      missing), `source_file`, `source_line` (see `raw_lines`), `line_fault` (why the line cannot be split into its fields, or null),
      `missing_words` (how many of its ids were words for a missing value) and `raw_text` (the line as
      in the file; null for Parquet).
      On DuckDB, row order is file order, then line order.
    #}
    {% do source('raw', 'transactions') %}{# for the lineage graph #}
    {% set required = raw_transaction_columns() %}
    {% set files = raw_files('transactions') %}
    {% if not files %}
        select
            {%- for column in required %}
            null::string as {{ column }},
            {%- endfor %}
            null::string as source_file,
            null::bigint as source_line,
            null::string as line_fault,
            null::tinyint as missing_words,
            null::string as raw_text
        where false
    {% endif %}
    {% for group in raw_groups(files, required) %}
        {% set is_csv = group[0].format == 'csv' %}
        select
            {{ required | join(', ') }},
            {{ file_name('filename') }} as source_file,
            source_line,
            {{ 'line_fault' if is_csv else 'null::string' }} as line_fault,
            missing_words::tinyint as missing_words,
            {{ 'line' if is_csv else 'null::string' }} as raw_text
        from ({{ csv_fields(group, required) if is_csv else parquet_columns(group, required) }}) as lines_read
        {{ 'union all' if not loop.last }}
    {% endfor %}
{% endmacro %}

{% macro raw_groups(files, required) %}
    {#
      Inspects and checks files, and puts neighbours together that one query can read: CSV files with the
      same header and line ends, Parquet files with the same columns and types. (Read with others, a
      Parquet file is cast to the types of the first.)
    #}
    {% set csv = files | selectattr('format', 'equalto', 'csv') | list %}
    {% set parquet = files | selectattr('format', 'equalto', 'parquet') | list %}
    {% for packed, same in csv | groupby('packed') %}{% do inspect_csv(same) %}{% endfor %}
    {% if parquet %}{% do inspect_parquet(parquet) %}{% endif %}
    {% set groups = [] %}
    {% set last = namespace(key=none) %}
    {% for file in files %}
        {% do check_columns(file, required) %}
        {% if file.format == 'parquet' %}
            {% do check_types(file, required) %}
            {% set key = (file.names, file.types) %}
        {% else %}
            {% set key = (file.columns, file.packed, file.line_end, file.block > 0) %}
        {% endif %}
        {% if key != last.key %}{% do groups.append([]) %}{% endif %}
        {% do groups[-1].append(file) %}
        {% set last.key = key %}
    {% endfor %}
    {% do return(groups) %}
{% endmacro %}
