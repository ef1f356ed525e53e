"""What a file looks like: encoding, delimiter, columns, and what its first lines hold."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from dbt_project.layouts import LayoutError
from dbt_project.layouts.records import open_text, records
from dbt_project.layouts.text_tables import parquet_rows

ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet")
LOOKED_AT = 1 << 24
"""Bytes of a file of which the encoding is found out."""
TRIED = 500
"""Records with which delimiters are tried."""
DISTINCT = 5_000
"""Different values of a column that are kept."""


@dataclass
class Table:
    """A file with columns."""

    path: Path
    columns: list[str]
    encoding: str = "ascii"
    delimiter: str = ","
    values: dict[str, set[str]] = field(default_factory=dict)
    """Column -> some of its different values in the first lines, trimmed; none that are empty."""
    lines: int = 0
    """Lines looked at."""
    repeated: set[str] = field(default_factory=set)
    """Columns of which some value stood there twice."""


def tables_in(folder: Path, lines: int) -> tuple[list[Table], list[str]]:
    """The files of a folder that have columns, by name, each with what its first lines hold; and
    why others that might have them do not.
    """
    tables, faults = [], []
    for path in sorted(folder.iterdir()):
        name = path.name.lower()
        if path.is_file() and name[0] not in "._" and name.endswith(ENDINGS):
            try:
                table = _table(path)
                if len(table.columns) > 1:
                    _look_at(table, lines)
                    tables.append(table)
                else:
                    faults.append(
                        f"{path}: one column only. Expected the names of all columns in the first "
                        "line, between commas, semicolons, tabs or bars"
                    )
            except LayoutError as error:
                faults.append(str(error))
    return tables, faults


def _table(path: Path) -> Table:
    if path.name.lower().endswith(".parquet"):
        return Table(path, list(next(parquet_rows(path)).fields))
    encoding = _encoding(path)
    tried, faults = [], []
    for delimiter in ",;\t|":
        try:
            tried.append(_tried(path, encoding, delimiter))
        except LayoutError as error:  # names in quotation marks, divided by another
            faults.append(error)
    if not tried:
        raise faults[0]
    share, columns, delimiter = max(tried, key=lambda found: (found[0] > 0.5, len(found[1])))
    return Table(path, columns, encoding, delimiter)


def _tried(path: Path, encoding: str, delimiter: str) -> tuple[float, list[str], str]:
    """Share of the first records that a delimiter divides as it does the header, and that. Raises
    LayoutError where it does not divide the header.
    """
    found = list(islice(records(path, encoding, delimiter), TRIED))
    whole = sum(record.fault is None for record in found[1:])
    return (whole + 1) / len(found), [name.strip() for name in found[0].fields], delimiter


def _encoding(path: Path) -> str:
    # As Latin-1 every byte is a character, and read as one.
    try:
        with open_text(path, "latin-1") as file:
            start = file.read(LOOKED_AT).encode("latin-1")
    except (OSError, EOFError, zlib.error) as error:
        raise LayoutError(
            f"{path}: damaged or cut short ({error}). Copy or make it again"
        ) from None
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
        return "ascii" if start.isascii() else "utf-8"
    except UnicodeDecodeError:
        # Bytes that Latin-1 has control characters for are quotation marks and the euro elsewhere.
        return "cp1252" if any(0x80 <= byte < 0xA0 for byte in set(start)) else "latin-1"


def first_rows(table: Table, lines: int) -> Iterator[list[str | None]]:
    """The fields of a table's first lines, none for one that cannot be split."""
    if table.path.name.lower().endswith(".parquet"):
        rows = parquet_rows(table.path)
    else:
        rows = records(table.path, table.encoding, table.delimiter)
    return (row.fields for row in islice(rows, 1, lines + 1))


def _look_at(table: Table, lines: int) -> None:
    kept: list[set[str]] = [set() for _ in table.columns]
    repeated = [False] * len(table.columns)
    for fields in first_rows(table, lines):
        table.lines += 1
        for place, value in enumerate(fields):
            text = (value or "").strip()
            if text and text in kept[place]:
                repeated[place] = True
            elif text and len(kept[place]) < DISTINCT:
                kept[place].add(text)
    table.values = dict(zip(table.columns, kept, strict=True))
    table.repeated = {name for name, again in zip(table.columns, repeated, strict=True) if again}
