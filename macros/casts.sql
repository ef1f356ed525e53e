{#
  Text to values: null where the text is not exactly such a value.
  DuckDB's own casts round (`'1.5'::integer` is 2), which would misread instead of reject.
#}

{% macro whole_number(text, type) -%}
    case
        when try_cast({{ text }} as double) = try_cast({{ text }} as bigint)
            then try_cast({{ text }} as {{ type }})
    end
{%- endmacro %}

{% macro pence(text) -%}
    {#- Pounds as text to integer pence; null if not a number or not a whole number of pence. -#}
    case
        when try_cast({{ text }} as decimal(18, 4)) * 100 % 1 = 0
            then try_cast(try_cast({{ text }} as decimal(18, 4)) * 100 as integer)
    end
{%- endmacro %}

{% macro is_none_of(column, values) -%}
    {#- Not `in`: DuckDB turns a list of five or more into a join, which does not keep row order. -#}
    {%- for value in values %}{{ column }} != {{ sql_string(value) }}{{ ' and ' if not loop.last }}{% endfor -%}
{%- endmacro %}
