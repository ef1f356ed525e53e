{% macro lift(both, a, b, total) -%}
    {#- P(a and b) / (P(a) P(b)), from counts. -#}
    {{ both }}::double * {{ total }} / ({{ a }}::double * {{ b }})
{%- endmacro %}

{% macro chi_square(both, a, b, total) -%}
    {#- Pearson's chi-square of the 2 x 2 table with these counts, one degree of freedom, without
        continuity correction: n (n n11 - n1. n.1)^2 / (n1. n.1 (n - n1.) (n - n.1)). -#}
    {{ total }}::double * pow({{ total }}::double * {{ both }} - {{ a }}::double * {{ b }}, 2)
    / nullif(
        {{ a }}::double * {{ b }} * ({{ total }} - {{ a }})::double * ({{ total }} - {{ b }}), 0
    )
{%- endmacro %}

{% macro fewest_significant_trips() -%}
    {#- Trips with both products that make the smallest lift L of an edge significant. Of products that are
        rare among all trips, chi-square is close to n11 (L - 1)^2 / L. -#}
    {%- set lift = var('copurchase_min_lift') -%}
    {%- if lift <= 1 -%}
        {{ exceptions.raise_compiler_error(
            'var copurchase_min_lift must be above 1, not ' ~ lift
        ) }}
    {%- endif -%}
    {{ var('copurchase_min_chi_square') * lift / (lift - 1) ** 2 }}
{%- endmacro %}
