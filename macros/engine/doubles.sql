{% macro rounded(number, decimals) -%}
    {#- A double to so many decimals, halves away from zero. Of two doubles beside 0.00005 Spark's round()
        takes the decimals that it shows, and DuckDB's this. -#}
    (round(({{ number }}) * 1e{{ decimals }}) / 1e{{ decimals }})
{%- endmacro %}

{% macro is_finite(number) %}
    {{- adapter.dispatch('is_finite', 'retailsim')(number) -}}
{% endmacro %}

{% macro default__is_finite(number) %}
    {#- Whether a double is a number, not NaN or infinite. -#}
    isfinite({{ number }})
{%- endmacro %}

{% macro spark__is_finite(number) %}
    (abs({{ number }}) < double('infinity'))
{%- endmacro %}

{% macro scientific(number) %}
    {{- adapter.dispatch('scientific', 'retailsim')(number) -}}
{% endmacro %}

{% macro default__scientific(number) %}
    {#- A number as text with an exponent, `1.500000e+09`. -#}
    format('{:e}', {{ number }})
{%- endmacro %}

{% macro spark__scientific(number) %}
    format_string('%e', {{ number }})
{%- endmacro %}
