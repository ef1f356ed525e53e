-- What decides what features of customers and prices mean, and whose holidays the calendar has. The
-- manifest keeps it, and a model refuses a cache that was built with others.
select
    {{ var('full_history_trips') }}::integer as full_history_trips,
    {{ var('switching_weeks') }}::integer as switching_weeks,
    {{ var('cold_start_trips') }}::integer as cold_start_trips,
    {{ var('base_price_weeks') }}::integer as base_price_weeks,
    {{ sql_string(layout().country or '') }} as country
