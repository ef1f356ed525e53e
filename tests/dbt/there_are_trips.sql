-- Files with headers only, or with nothing but rejected rows, must not be taken for a
-- chain without trips.
select 'no trips' as problem
where not exists (select 1 from {{ ref('trips') }})
