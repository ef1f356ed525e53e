{% macro code_of(column, labels, first=1, other=0) -%}
    {#- Number of a label in a list, counted from `first`; `other` for any that is not in it. -#}
    case {{ column }}
        {%- for label in labels %} when {{ sql_string(label) }} then {{ loop.index0 + first }}{% endfor %}
        else {{ other }}
    end
{%- endmacro %}
