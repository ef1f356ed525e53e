-- A label that int_kind_labels lacks would be counted as unclassified.
{% for kind, column in [
    ('size', 'basket_size'), ('sensitivity', 'trip_price_sensitivity'), ('type', 'trip_type'),
    ('focus', 'trip_focus'),
] %}
    select
        '{{ column }} of ' || count(*) || ' trips is ' || coalesce(trips.{{ column }}, 'null')
        || ', which is no label' as problem
    from {{ ref('trips') }} as trips
    left join {{ ref('int_kind_labels') }} as labels
        on labels.kind = '{{ kind }}' and trips.{{ column }} = labels.label
    where labels.label is null and coalesce(trips.{{ column }}, '') != 'XX'
    group by trips.{{ column }}
    {{ 'union all' if not loop.last }}
{% endfor %}
