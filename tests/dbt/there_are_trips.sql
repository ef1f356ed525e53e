-- Files with headers only, or with nothing but rejected rows, must not pass for an empty chain.
select 'no trips' as problem
where not exists (select 1 from {{ ref('trips') }})
