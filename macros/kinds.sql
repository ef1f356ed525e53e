{% macro kind_labels(kind) -%}
    {#- Labels of a column of the kind of trip, first code first: the layout's, or those of kinds that
        are derived. Those of size and price sensitivity are scales, in order. -#}
    {%- do return((layout().kinds or {
        'size': ['S', 'M', 'L'],
        'sensitivity': ['LA', 'MM', 'UM'],
        'type': ['Small Shop', 'Top Up', 'Full Shop'],
        'focus': ['Fresh', 'Grocery', 'Mixed', 'Nonfood'],
    })[kind]) -%}
{%- endmacro %}
