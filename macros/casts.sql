{#
  Text to values: null where the text is not exactly such a value. A cast alone would misread instead of
  reject: DuckDB takes '1.5', '1e2', '1_0' and '0x10' for integers.
#}

{% macro is_whole_number(text) -%}
    {{ matches(text, '[+-]?[0-9]+(\\.0+)?') }}
{%- endmacro %}

{% macro whole_number(text, type) -%}
    {#- Null too where the number does not fit the type. Spark takes '3.0' for no whole number. -#}
    case when {{ is_whole_number(text) }} then try_cast(split_part({{ text }}, '.', 1) as {{ type }}) end
{%- endmacro %}

{% macro is_pounds(text) -%}
    {#- At most two decimals, which zeros may follow. -#}
    {{ matches(text, '[+-]?[0-9]+(\\.[0-9]{1,2}0*)?') }}
{%- endmacro %}

{% macro pence(text) -%}
    {#- Pounds as text to integer pence; null too where they do not fit. With more digits, the product
        could overflow. -#}
    case
        when {{ is_pounds(text) }}
            then try_cast(try_cast({{ text }} as decimal(10, 2)) * 100 as integer)
    end
{%- endmacro %}

{% macro code(text) -%}
    {#- A code as it is, but for the decimals that a spreadsheet or a table of floats gave it: `501.0` is
        `501`. The quick test spares nearly all codes the slow one. -#}
    case
        when {{ text }} like '%.0%' and {{ matches(text, '[0-9]+\\.0+') }}
            then split_part({{ text }}, '.', 1)
        else {{ text }}
    end
{%- endmacro %}

{% macro lost_its_digits(text) -%}
    {#- Whether a code was saved as a number too long for that, as 9.94E+14 or, by other programs,
        9.94E14; 12E3 may be a code. Text from ':' on begins with no digit or sign: to compare is quicker
        than to match. -#}
    (
        {{ text }} < ':'
        and {{ matches(text, '[+-]?[0-9]+(\\.[0-9]*[eE][+-]?|[eE][+-])[0-9]+|-(?i:inf)') }}
        or length({{ text }}) = 3 and lower({{ text }}) = 'inf'
    )
{%- endmacro %}

{% macro is_none_of(column, values) -%}
    {#- Not `in`: DuckDB turns a list of five or more into a join, which does not keep row order. -#}
    {%- for value in values %}{{ column }} != {{ sql_string(value) }}{{ ' and ' if not loop.last }}{% endfor -%}
{%- endmacro %}

{% macro cents(amount) -%}
    {#- An amount in floating point as a whole number of hundredths; null where it does not fit. -#}
    try_cast(round(({{ amount }}) * 100) as integer)
{%- endmacro %}

{% macro amount(text, point='.') -%}
    {#- A number as text to an exact decimal: digits, with or without a sign and up to six decimals, which
        zeros may follow. Null too where it does not fit. Of two amounts of up to 18 digits DuckDB would
        make a product of 18. -#}
    case
        when {{ matches(text, '[+-]?[0-9]+([' ~ point ~ '][0-9]{1,6}0*)?') }}
            then try_cast(replace({{ text }}, {{ sql_string(point) }}, '.') as decimal(19, 6))
    end
{%- endmacro %}

{% macro hundredths(amount) -%}
    {#- An exact amount as integer hundredths; null where there is more to it, or it does not fit. -#}
    case
        when round({{ amount }}, 2) = {{ amount }}
            then try_cast(try_cast({{ amount }} as decimal(18, 2)) * 100 as integer)
    end
{%- endmacro %}
