-- Receipts that end before the test weeks make a warehouse, but a model needs weeks that it was not
-- fitted to.
{{ config(severity='warn') }}

select
    'no trip after week {{ var("validation_last_week") }}, where the validation weeks end; the last'
    || ' is in week ' || max(week) || ': to fit and evaluate a model, move the vars'
    || ' train_last_week and validation_last_week of dbt_project.yml' as problem
from {{ ref('int_trips') }}
having max(week) <= {{ var('validation_last_week') }}
