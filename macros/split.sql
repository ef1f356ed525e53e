{% macro train_last_week() -%}
    {#- The last of the training weeks, as a number in SQL. -#}
    (select train_last_week from {{ ref('int_split') }})
{%- endmacro %}

{% macro split_of(week) -%}
    case
        when {{ week }} <= {{ train_last_week() }} then 'train'
        when {{ week }} <= (select validation_last_week from {{ ref('int_split') }}) then 'validation'
        when {{ week }} <= (select test_last_week from {{ ref('int_split') }}) then 'test'
        else 'later'
    end
{%- endmacro %}
