-- A file with a header alone may be a week without receipts, or a copy that was cut short.
{{ config(severity='warn') }}

select
    concat(
        build_files.source_file, ': no rows. Is it complete? If its week has no receipts, delete it'
    ) as problem
from {{ build_table('build_files') }} as build_files
left join {{ ref('files_read') }} as files_read on build_files.source_file = files_read.source_file
where
    files_read.source_file is null
    and {{ holds_receipts('build_files.source_file') }}
