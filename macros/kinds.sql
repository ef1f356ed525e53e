{% macro kind_labels(kind) -%}
    {#- Labels of a column of the kind of trip, first code first, as the layout lists them. Where it has
        none, kinds are derived (docs/kinds.md), and the labels of focus depend on the data. Those of size
        and price sensitivity are scales, in order. -#}
    {%- do return((layout().kinds or {
        'size': ['S', 'M', 'L'],
        'sensitivity': ['LA', 'MM', 'UM'],
        'type': ['Small Shop', 'Top Up', 'Full Shop'],
        'focus': [],
    })[kind]) -%}
{%- endmacro %}
