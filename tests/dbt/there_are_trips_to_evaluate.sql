-- Receipts that end before the test weeks make a warehouse, but a model needs weeks that it was not
-- fitted to.
{{ config(severity='warn') }}

with last_trip as (
    select max(week) as week from {{ ref('int_trips') }}
)

select
    'no trip after week ' || split.validation_last_week || ', where the validation weeks end; the'
    || ' last is in week ' || last_trip.week || ': to fit and evaluate a model, move the vars'
    || ' train_last_week and validation_last_week of dbt_project.yml' as problem
from {{ ref('int_split') }} as split
cross join last_trip
where last_trip.week <= split.validation_last_week
