{% macro prediction_rows() %}
    {#-
      A FROM clause: the file that `python -m trainer.predict` wrote, which RETAILSIM_PREDICTIONS names.
      Without the variable it is predictions.parquet, if that is there; none if the variable is empty.
    -#}
    {%- do source('trainer', 'predictions') -%}{#- for the lineage graph -#}
    {%- set columns = {
        'customer_code': 'text', 'product_rank': 'whole number', 'product_code': 'text',
        'probability': 'number', 'is_repeat': 'flag', 'expected_items': 'number',
        'visible_items': 'whole number', 'data_until': 'time',
        'trip_date': 'time', 'trip_date_probability': 'number',
        'trip_hour': 'whole number', 'trip_hour_probability': 'number',
        'store_code': 'text', 'store_probability': 'number',
        'basket_size': 'text', 'trip_price_sensitivity': 'text', 'trip_type': 'text', 'trip_focus': 'text',
        'kind_probability': 'number',
    } -%}
    {%- set named = env_var('RETAILSIM_PREDICTIONS', 'none named') -%}
    {%- set path = 'predictions.parquet' if named == 'none named' else named -%}
    {%- if not execute or target.name == 'lint' or not path -%}
        {{ no_rows(columns) }}
    {%- elif is_file(path) -%}
        {{ typed_parquet(path, columns) }}
    {%- elif named == 'none named' -%}
        {{ no_rows(columns) }}
    {%- else -%}
        {%- do exceptions.raise_compiler_error('RETAILSIM_PREDICTIONS=' ~ named ~ ': there is no such file. '
            ~ 'Write it with python -m trainer.predict, or unset the variable.') -%}
    {%- endif -%}
{%- endmacro %}
