{% macro kind_labels(kind) -%}
    {#- Labels of a column of the kind of trip, first code first. Those of size and price sensitivity are
        scales, in order. -#}
    {{- return({
        'size': ['S', 'M', 'L'],
        'sensitivity': ['LA', 'MM', 'UM'],
        'type': ['Small Shop', 'Top Up', 'Full Shop'],
        'focus': ['Fresh', 'Grocery', 'Mixed', 'Nonfood'],
    }[kind]) -}}
{%- endmacro %}
