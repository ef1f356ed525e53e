{% macro rounded(number, decimals) -%}
    {#- A double to so many decimals, halves away from zero. Of two doubles beside 0.00005 Spark's round()
        takes the decimals that it shows, and DuckDB's this. -#}
    (round(({{ number }}) * 1e{{ decimals }}) / 1e{{ decimals }})
{%- endmacro %}
