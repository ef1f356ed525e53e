-- What is static is computed from training weeks: without a trip in them nothing can be.
select
    'no trip in the training weeks 1-' || {{ train_last_week() }} || ', the first is in week '
    || min(week) || ': move the vars train_last_week, validation_last_week and test_last_week of'
    || ' dbt_project.yml' as problem
from {{ ref('int_trips') }}
having min(week) > {{ train_last_week() }}
