{% macro matches(text, pattern) %}
    {{- adapter.dispatch('matches', 'retailsim')(text, pattern) -}}
{% endmacro %}

{% macro default__matches(text, pattern) %}
    {#- Whether the whole text matches a regular expression. Spark's rlike looks for it anywhere. -#}
    regexp_full_match({{ text }}, {{ sql_string(pattern) }})
{%- endmacro %}
