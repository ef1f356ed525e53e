-- The labels that trips can have, one row each; any other is unclassified. Everything behind counts
-- labels by their code and knows none of their names.
with labels as (
    {% for kind in ['size', 'sensitivity', 'type', 'focus'] %}
        {% set kind_loop = loop %}
        {% for label in kind_labels(kind) %}
            select
                '{{ kind }}' as kind,
                {{ loop.index }} as code,
                {{ sql_string(label) }} as label
            {{ 'union all' if not (loop.last and kind_loop.last) }}
        {% endfor %}
    {% endfor %}
),

counted as (
    select
        kind,
        count(*) as labels
    from labels
    group by kind
)

select
    labels.kind,
    labels.code::smallint as code,
    labels.label,
    -- What a label counts on a scale, by its position and in whole numbers that add up exactly: the
    -- k-th of n sizes k/n in hundredths, the k-th of n price sensitivities k - 1 steps.
    case labels.kind
        when 'size' then floor((200 * labels.code + counted.labels) / (2 * counted.labels))
        when 'sensitivity' then labels.code - 1
    end::integer as score
from labels
inner join counted on labels.kind = counted.kind
