{% macro split_of(week) -%}
    case
        when {{ week }} <= {{ var('train_last_week') }} then 'train'
        when {{ week }} <= {{ var('validation_last_week') }} then 'validation'
        when {{ week }} <= {{ var('test_last_week') }} then 'test'
        else 'later'
    end
{%- endmacro %}
