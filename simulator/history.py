"""Command line: python -m simulator.history: the history and simulated weeks as one raw folder."""

from __future__ import annotations

import argparse
import csv
import errno
import gzip
import json
import os
import re
import shlex
import shutil
import sys
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from simulator.lgsr import CALENDAR_COLUMNS, Calendar, write_calendar
from simulator.summary import SUMMARY
from trainer.cache.atomic import new_folder
from trainer.cache.json_files import is_intact, read_json
from trainer.cache.reader import TensorCache
from trainer.cache.split import SPLITS, split_weeks
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser

ENDINGS = (".csv", ".csv.gz", ".parquet")
TIME = "time.csv"
BLANKS = '" \t\n'
WHOLE = re.compile(r"\s*([0-9]+)(?:\.0*)?\s*")
DATE = re.compile(r"\s*(\d{4})-?(\d{2})-?(\d{2})(?:[T ].*)?\s*")


def join_history(raw: Path, folder: Path, start: int) -> None:
    """Put the history up to a week beside simulated weeks, so that one folder holds both.

    raw: the folder that the history was built from, in the layout LGSR: its transactions files
    of weeks up to `start`, a number of the calendar, are linked or, where that is not possible,
    copied. folder: one of `write_receipts`, exchanged in one step. `time.csv` has the weeks of
    both.

    Raises InputError, which names file and remedy, where a file holds weeks on both sides of
    `start`, or the calendars disagree.
    """
    raw, folder = Path(raw), Path(folder)
    if raw.resolve() == folder.resolve():
        raise InputError(f"{folder}: the history's own folder: name that of simulated weeks")
    calendar = _one_calendar(raw, folder, start)
    last = int(calendar.shop_week[start - 1])
    history = []
    for path in transactions(raw):
        weeks = shop_weeks_of(path)
        if weeks and min(weeks) <= last < max(weeks):
            raise InputError(
                f"{path} holds weeks up to {last}, where the history ends, and later ones: split "
                "it there"
            )
        if weeks and max(weeks) <= last:
            history.append(path)
    simulated = {_stem(path): path for path in transactions(folder)}
    for path in history:
        if _stem(path) in simulated:
            raise InputError(
                f"{simulated[_stem(path)]}: {path} has the same name: is the history there already?"
            )
    with new_folder(folder) as fresh:
        shutil.copytree(folder, fresh, copy_function=_link, dirs_exist_ok=True)
        for path in history:
            _link(path, fresh / path.name)
        (fresh / TIME).unlink()  # a link, whose file must stay as it is
        write_calendar(fresh / TIME, calendar)


def transactions(folder: Path) -> list[Path]:
    """The transactions files that the warehouse would read, in the order of their names. Raises
    InputError for what is no folder."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: name one with receipts in the layout lgsr")
    return sorted(
        path for path in folder.iterdir()
        if path.name.lower().startswith("transactions") and path.name.lower().endswith(ENDINGS)
    )  # fmt: skip


def shop_weeks_of(path: Path) -> set[int]:
    """The weeks in a transactions file, as the chain codes them; what is no number is left out.
    Raises InputError for a file that cannot be read, or has no column of weeks."""
    try:
        texts = _parquet_weeks(path) if path.name.lower().endswith("parquet") else _csv_weeks(path)
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: cannot be read ({error}): is it whole?") from None
    return {int(found[1]) for text in texts if (found := WHOLE.fullmatch(text))}


def _csv_weeks(path: Path) -> set[str]:
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig") as lines:
        place = _place_of_week(next(lines, "").split(","), path)
        different = {text for line in lines for text in line.split(",", place + 1)[place:][:1]}
    return {text.strip(BLANKS) for text in different}


def _parquet_weeks(path: Path) -> set[str]:
    with pa.parquet.ParquetFile(path) as file:
        place = _place_of_week(file.schema_arrow.names, path)
        column = file.read([file.schema_arrow.names[place]]).column(0)
    return {str(value) for value in column.unique().to_pylist()}


def _place_of_week(names: list[str], path: Path) -> int:
    lower = [name.strip(BLANKS).lower() for name in names]
    if "shop_week" not in lower:
        raise InputError(
            f"{path}: no column SHOP_WEEK: only receipts in the layout lgsr can be joined"
        )
    return lower.index("shop_week")


def read_calendar(folder: Path) -> Calendar:
    """The weeks of a raw folder's `time.csv`, in order. Raises InputError, which names the line."""
    path = next((path for path in folder.iterdir() if path.name.lower() == TIME), None)
    if path is None:
        raise InputError(
            f"{folder} holds no {TIME}: only receipts in the layout lgsr can be joined"
        )
    weeks = []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read ({error}): is it whole?") from None
    rows = csv.DictReader(text.splitlines())
    rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or ()]
    for row in rows:
        week, *days = (row.get(name) or "" for name in CALENDAR_COLUMNS)
        found = WHOLE.fullmatch(week)
        try:
            dates = [np.datetime64("-".join(DATE.fullmatch(day).groups())) for day in days]
            weeks.append((int(found[1]), *(int(date.astype(np.int64)) for date in dates)))
        except (AttributeError, TypeError, ValueError):
            raise InputError(
                f"{path}: line {rows.line_num}: expected a week and two dates, as in "
                "200607,20060410,20060416"
            ) from None
    return _calendar(weeks)


def _calendar(weeks: list[tuple[int, int, int]]) -> Calendar:
    return Calendar(*np.array(sorted(weeks), dtype=np.int64).reshape(-1, 3).T)


def _one_calendar(raw: Path, folder: Path, start: int) -> Calendar:
    """The weeks of both folders, in which those of each keep their numbers."""
    theirs, mine = read_calendar(raw), read_calendar(folder)
    weeks = [
        set(zip(*(column.tolist() for column in part), strict=True)) for part in (theirs, mine)
    ]
    both = _calendar(list(weeks[0] | weeks[1]))
    if not 1 <= start <= len(theirs.shop_week):
        raise InputError(f"{raw / TIME}: {len(theirs.shop_week)} weeks: there is no week {start}")
    for part, least in ((theirs, start), (mine, len(mine.shop_week))):
        if not all(
            np.array_equal(ours[:least], column[:least])
            for ours, column in zip(both, part, strict=True)
        ):
            raise InputError(
                f"{folder / TIME}: its weeks are not those of {raw / TIME}: simulate from a cache "
                "of this history"
            )
    return both


def _stem(path: Path) -> str:
    """What may not stand twice in a folder, whatever its ending and capitals."""
    return path.name.lower().removesuffix(".gz").removesuffix(".csv").removesuffix(".parquet")


def _link(source: str | Path, target: str | Path) -> None:
    """A hard link to a file, or a copy where the file system has none."""
    source = Path(source).resolve()
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copy2(source, target)


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m simulator.history",
        description="Put the history beside simulated weeks, so that dbt builds both from one "
        "folder. Files are linked, not copied, where that is possible.",
    )
    add = parser.add_argument
    add("folder", type=Path, nargs="+", help="simulated receipts, a folder for each run")
    add(
        "--raw", type=Path, default=Path(os.environ.get("RETAILSIM_RAW") or "raw_data"),
        metavar="FOLDER", help="receipts of the history (default: RETAILSIM_RAW, or raw_data)",
    )  # fmt: skip
    add(
        "--cache", type=Path, default=Path("cache"),
        help="tensor cache of the history: its split is kept (default: cache)",
    )  # fmt: skip
    return parser


def _run(options: argparse.Namespace) -> None:
    known = TensorCache(options.cache)
    variables = json.dumps({f"{name}_last_week": split_weeks(known, name)[1] for name in SPLITS})
    for folder in options.folder:
        _check_cache(folder, known)
        weeks = set().union(*map(shop_weeks_of, transactions(folder)))
        if not weeks:
            raise InputError(f"{folder} holds no receipts")
        start = int(np.searchsorted(read_calendar(folder).shop_week, min(weeks)))
        if start == 0:
            raise InputError(f"{folder}: receipts from the first week on: is the history in it?")
        join_history(options.raw, folder, start)
        database, cache = (shlex.quote(f"{folder}.{end}") for end in ("duckdb", "cache"))
        print(
            f"{folder}: history up to week {start}, and {len(weeks)} simulated weeks. Next:\n"
            f"RETAILSIM_RAW={shlex.quote(str(folder))} RETAILSIM_DB={database} dbt build "
            f"--vars '{variables}'\n"
            f"python -m dbt_project.export --database {database} --out {cache} "
            f"--like {shlex.quote(str(options.cache))}"
        )


def _check_cache(folder: Path, cache: TensorCache) -> None:
    """Raise InputError where the weeks were simulated from another cache; of weeks without a
    summary nothing is known."""
    path = folder.parent / SUMMARY
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return
    if is_intact(content) and content.get("cache_digest") not in (None, cache.digest):
        raise InputError(
            f"{folder}: {path} is of weeks simulated from another cache than {cache.folder}: name "
            "that one in --cache, and its receipts in --raw"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
