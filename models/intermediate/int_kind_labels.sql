-- The labels that trips can have, one row each; any other is unclassified. Everything behind counts
-- labels by their code and knows none of their names.
with listed as (
    {% for kind in ['size', 'sensitivity', 'type', 'focus'] %}
        {% for label in kind_labels(kind) %}
            select
                '{{ kind }}' as kind,
                {{ loop.index }} as code,
                {{ sql_string(label) }} as label
            union all
        {% endfor %}
    {% endfor %}
    -- Those of a derived focus, in alphabetical order.
    select
        'focus' as kind,
        row_number() over (order by label) as code,
        label
    from (
        select label
        from {{ ref('int_focus_departments') }}
        union
        select 'Mixed' as label
    ) as focuses
    where {{ 'false' if kind_labels('focus') else 'true' }}
),

counted as (
    select
        kind,
        count(*) as labels
    from listed
    group by kind
)

select
    listed.kind,
    listed.code::smallint as code,
    listed.label,
    -- What a label counts on a scale, by its position and in whole numbers that add up exactly: the
    -- k-th of n sizes k/n in hundredths, the k-th of n price sensitivities k - 1 steps.
    case listed.kind
        when 'size' then floor((200 * listed.code + counted.labels) / (2 * counted.labels))
        when 'sensitivity' then listed.code - 1
    end::integer as score
from listed
inner join counted on listed.kind = counted.kind
