{# What a raw value's text means before it has a type, the same for every kind of file. #}

{% macro raw_trimmed(text) -%}
    {#- Without spaces, tabs and no-break spaces around it. -#}
    trim(both concat(' ', chr(9), chr(160)) from {{ text }})
{%- endmacro %}

{% macro raw_missing_words() %}
    {#- The last are what spreadsheets show of a formula that went wrong. -#}
    {% do return([
        'null', 'nan', 'none', 'na', 'n/a', '<na>', '\\n',
        '#n/a', '#ref!', '#value!', '#name?', '#null!', '#div/0!', '#num!',
    ]) %}
{% endmacro %}

{% macro is_missing_word(trimmed) -%}
    {#- Not `in`: DuckDB makes a join of five or more values, which does not keep row order. -#}
    (
        {%- for word in raw_missing_words() -%}
        lower({{ trimmed }}) = {{ sql_string(word) }}{{ ' or ' if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}

{% macro raw_known(trimmed) -%}
    {#- Null where the text is empty or a word for a missing value. -#}
    case when {{ trimmed }} != '' and not {{ is_missing_word(trimmed) }} then {{ trimmed }} end
{%- endmacro %}
