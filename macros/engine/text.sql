{% macro matches(text, pattern) %}
    {{- adapter.dispatch('matches', 'retailsim')(text, pattern) -}}
{% endmacro %}

{% macro default__matches(text, pattern) %}
    {#- Whether the whole text matches a regular expression. Spark looks for it anywhere. -#}
    regexp_full_match({{ text }}, {{ sql_string(pattern) }})
{%- endmacro %}

{% macro spark__matches(text, pattern) %}
    {#- Not `$`, which Java also finds before a line end. -#}
    regexp_like({{ text }}, {{ sql_string('\\A(?:' ~ pattern ~ ')\\z') }})
{%- endmacro %}

{% macro has_match(text, pattern) %}
    {{- adapter.dispatch('has_match', 'retailsim')(text, pattern) -}}
{% endmacro %}

{% macro default__has_match(text, pattern) %}
    {#- Whether a regular expression matches anywhere in a text. -#}
    regexp_matches({{ text }}, {{ sql_string(pattern) }})
{%- endmacro %}

{% macro spark__has_match(text, pattern) %}
    regexp_like({{ text }}, {{ sql_string(pattern) }})
{%- endmacro %}
