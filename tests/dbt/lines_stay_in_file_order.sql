-- Line numbers are counted from the order of the rows, so the lines of a file must lie together.
-- Anything that reorders rows in staging, such as a join, fails here.
select
    source_file,
    min(line_id) as first_line_id,
    max(line_id) as last_line_id,
    count(*) as lines_found
from {{ ref('int_lines') }}
where source_line is null
group by source_file
having max(line_id) - min(line_id) + 1 != count(*)
