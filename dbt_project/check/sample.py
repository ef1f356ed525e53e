"""What the warehouse does with the first lines of a folder: the models that reject lines or set
them aside are built of them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zlib
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from dbt_project.layouts import load_layout
from dbt_project.layouts.records import open_text, records
from dbt_project.layouts.text_tables import files_of, line_files
from trainer.commands.errors import ExpectedError

SHARES = ("rejected_share_is_small", "rejected_share_of_a_file_or_week_is_small")
"""Tests that stop a build of which too much is rejected."""
WARNINGS = (
    "baskets_are_in_one_file",
    "dates_are_near_each_other",
    "files_beside_receipts_are_meant",
    "weeks_follow_each_other",
)
"""Tests that warn of files that may not be what they seem."""
PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Fate:
    """What became of lines, with the first of them as an example."""

    what: str
    """rejected or set aside."""
    reason: str
    lines: int
    file: str
    line: int
    text: str


@dataclass(frozen=True)
class Outcome:
    """What became of all lines."""

    lines: int
    first_date: str
    last_date: str
    fates: list[Fate]
    """The most frequent first."""
    too_many: list[str]
    """What the warehouse's tests say of it, where more are rejected than the layout allows."""
    warnings: list[str]
    baskets: int
    customers: int
    stores: int
    products: int

    def count(self, what: str) -> int:
        return sum(fate.lines for fate in self.fates if fate.what == what)


def copy_first_lines(folder: Path, layout: str, lines: int, into: Path) -> bool:
    """Copy the first lines of each file of receipts, and link to whatever else is needed; returns
    whether a file has more.

    Raises LayoutError.
    """
    mapping = load_layout(layout).order_lines
    receipts = line_files(mapping, folder) if mapping else files_of(folder, ("transactions*",))
    more = False
    for path in folder.iterdir():
        target = into / path.name
        if path not in receipts:
            target.symlink_to(path.resolve())
        elif path.name.lower().endswith(".parquet"):
            more |= _copy_rows(path, target, lines)
        elif mapping:
            more |= _copy_text(path, target, lines, mapping.encoding, mapping.delimiter)
        else:
            more |= _copy_text(path, target, lines)
    return more


def _copy_text(
    path: Path, target: Path, lines: int, encoding: str = "utf-8", delimiter: str | None = None
) -> bool:
    """Without a delimiter every line is a record."""
    try:
        with open_text(path, encoding) as source, open_text(target, encoding, "w") as copy:
            found = (
                ([line] for line in source)
                if delimiter is None
                else (record.lines for record in records(path, encoding, delimiter))
            )
            copy.writelines(chain.from_iterable(islice(found, lines + 1)))
            return next(found, None) is not None
    except (OSError, EOFError, zlib.error):
        return _link(path, target)


def _copy_rows(path: Path, target: Path, lines: int) -> bool:
    try:
        source = pq.ParquetFile(path)
        with pq.ParquetWriter(target, source.schema_arrow) as copy:
            left = lines
            for batch in source.iter_batches():
                copy.write_batch(batch[:left])
                left -= min(left, len(batch))
        return source.metadata.num_rows > lines
    except (OSError, ValueError):
        return _link(path, target)


def _link(path: Path, target: Path) -> bool:
    """In place of a copy of what cannot be read: the build says what is wrong with it."""
    target.unlink(missing_ok=True)
    target.symlink_to(path.resolve())
    return False


def try_build(raw: Path, layout: str, work: Path, folder: Path) -> Outcome:
    """Build what says which lines are rejected of `raw`, the first lines of the files in `folder`.
    Raises ExpectedError with what stops the build.
    """
    database = work / "warehouse.duckdb"
    environment = os.environ | {
        "RETAILSIM_RAW": str(raw),
        "RETAILSIM_DB": str(database),
        "RETAILSIM_TMP": str(work / "spill"),
        "RETAILSIM_PREDICTIONS": "",
        "RETAILSIM_LAYOUT": layout,
        "DBT_TARGET_PATH": str(work / "target"),
        "DBT_LOG_PATH": str(work / "logs"),
    }
    process = subprocess.run(
        [
            sys.executable, "-W", "ignore", "-m", "dbt.cli.main", "--no-use-colors", "build",
            "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
            "--indirect-selection", "empty",
            "--select", "+rejected_rows", "+set_aside_rows", *SHARES,
            *WARNINGS,
        ],
        env=environment, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    too_many = re.findall(rf"^(?:{'|'.join(SHARES)}): (.*)", process.stdout, re.MULTILINE)
    warnings = re.findall(
        rf"^warning: (?:{'|'.join(WARNINGS)}): (.*)", process.stdout, re.MULTILINE
    )
    if process.returncode != 0 and not too_many:
        raise ExpectedError(_cause(process.stdout).replace(str(raw), str(folder)))
    with duckdb.connect(str(database), read_only=True) as warehouse:
        return _outcome(warehouse, too_many, warnings)


def _cause(said: str) -> str:
    """The one line of what dbt printed that says what stopped it."""
    found = re.search(r"Raw data: (.*)", said) or re.search(
        r"(?:Compilation|Database|Runtime) Error.*\n(?:.*  )?\s*(.*)", said
    )
    if found is None:
        return f"dbt run failed: {(said.strip().splitlines() or [''])[-1]}"
    return found.group(1).strip()


def _outcome(
    warehouse: duckdb.DuckDBPyConnection, too_many: list[str], warnings: list[str]
) -> Outcome:
    fates = warehouse.execute(
        """
        with lines as (
            select
                'rejected' as what, reject_reason as reason, source_file, source_line,
                row_content as text
            from rejected_rows
            union all
            select
                'set aside', set_aside_reason, source_file,
                coalesce(source_line, 0), coalesce(raw_text, '')
            from int_lines where reject_reason is null and set_aside_reason is not null
        )
        select
            what, reason, count(*),
            unnest(min_by(
                {'file': source_file, 'line': source_line, 'text': text}, (source_file, source_line)
            ))
        from lines group by what, reason order by what, count(*) desc, reason
        """
    ).fetchall()
    counts = warehouse.execute(
        """
        select
            (select count(*) from int_lines),
            coalesce(min(baskets.shop_date)::varchar, ''),
            coalesce(max(baskets.shop_date)::varchar, ''),
            count(*),
            count(distinct baskets.customer_code),
            count(distinct baskets.store_code),
            (select count(*) from int_products)
        from int_baskets as baskets where baskets.reject_reason is null
        """
    ).fetchone()
    assert counts is not None
    lines, first, last, *rest = counts
    return Outcome(lines, first, last, [Fate(*row) for row in fates], too_many, warnings, *rest)
