"""Copies the files of order lines, column by column as text, to Parquet files that SQL types."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .errors import LayoutError
from .order_lines import MISSING, OrderLines, code_of, column_name
from .records import records

ROWS = 50_000
"""Rows of a file that are held in memory together."""

ENDING = re.compile(r"(\.(csv|tsv|txt|parquet)(\.gz)?|\.gz)$", re.IGNORECASE)
"""Of names of files with data."""


class Lookup(NamedTuple):
    """A file with further columns."""

    path: Path
    key: str
    """The column of the lines by whose codes it is asked."""
    added: list[str]
    """The columns that it adds."""
    values: dict[str, tuple[str | None, ...]]
    """Their values by code."""
    asked: dict[bool, str]
    """Whether it knew a code -> the last such code."""


class Row(NamedTuple):
    """A line of a file, split."""

    line: int
    """The line, from 1, that it begins in, or the row of a Parquet file."""
    text: str | None
    """The line as in the file; None for Parquet."""
    fields: list[str | None]
    """Its values; none where there is a fault."""
    fault: str | None


def files_of(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """Files directly in a folder whose names match, without regard to capitals, by name."""
    return sorted(
        path for path in folder.iterdir() if path.is_file() and is_like(path.name, patterns)
    )


def is_like(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name is one of some in which * and ?, and nothing else, stand for any characters,
    without regard to capitals. Names that begin with . or _ are no data."""
    return name[0] not in "._" and any(
        fnmatch.fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))
        for pattern in patterns
    )


def line_files(layout: OrderLines, folder: Path) -> list[Path]:
    """A folder's files of lines, by name: those that `files` names and `lookups` does not."""
    others = files_of(folder, tuple(layout.lookups))
    return [path for path in files_of(folder, layout.files) if path not in others]


def checked_files(layout: OrderLines, folder: Path) -> list[Path]:
    """`line_files` of a folder that holds what `files` promises.

    Raises LayoutError.
    """
    if not folder.is_dir():
        raise LayoutError(
            f"RETAILSIM_RAW is {folder}. Expected the folder that holds the raw files"
        )
    paths = line_files(layout, folder)
    for pattern in layout.files:
        if not any(is_like(path.name, [pattern]) for path in paths):
            raise LayoutError(
                f"no file {pattern} in the folder {folder}. Set RETAILSIM_RAW to the folder that "
                "holds it, or change `files` in the layout"
            )
    for path in sorted(folder.iterdir()):
        named = is_like(path.name, layout.files)
        if named and not path.is_file() and (ENDING.search(path.name) or not path.exists()):
            raise LayoutError(
                f"{path}: not a file, but a folder or a link that leads nowhere. Move the files of "
                "a folder up, or rename it"
            )
    stems: dict[str, str] = {}
    for path in paths:
        stem = ENDING.sub("", path.name.lower())
        if stem in stems:
            raise LayoutError(
                f"{path}: the same data as {stems[stem]} by its name. Keep one of the two"
            )
        stems[stem] = path.name
    return paths


def read_lookups(layout: OrderLines, folder: Path) -> list[Lookup]:
    """The layout's lookups. Raises LayoutError."""
    return [_lookup(layout, folder, pattern, on) for pattern, on in layout.lookups.items()]


def rows_of_files(
    layout: OrderLines, folder: Path, names: Collection[str], lookups: list[Lookup]
) -> Iterator[tuple[Path, Iterator[Row]]]:
    """Each file of lines that is named, with its rows, whose fields are those of `layout.columns`.

    Raises LayoutError.
    """
    for path in line_files(layout, folder):
        if path.name in names:
            yield path, _chosen_rows(layout, path, lookups)


def _chosen_rows(layout: OrderLines, path: Path, lookups: list[Lookup]) -> Iterator[Row]:
    rows = read_rows(layout, path)
    pick = _chooser(layout, path, next(rows).fields, lookups)
    for row in rows:
        yield row if row.fault else row._replace(fields=pick(row.fields))


def write_text_tables(
    layout: OrderLines, folder: Path, names: Collection[str], into: Path
) -> dict[str, Any]:
    """Write one Parquet file for each file of lines that is named.

    Its columns are c0, c1 and so on, those of `layout.columns`, then `source_file`, `source_line`,
    `line_fault` and `raw_text`, of one row for every record: nothing is left out.

    Returns `paths`, those of the Parquet files in order of names, and `lookups`, what was asked of
    each: its `path` and `key`, a code that it `knows` and one that it does not (`lacks`), or null.

    Raises LayoutError.
    """
    width = len(layout.columns)
    schema = pa.schema(
        [(f"c{place}", pa.string()) for place in range(width)]
        + [("source_file", pa.string()), ("source_line", pa.int64())]
        + [("line_fault", pa.string()), ("raw_text", pa.string())]
    )
    nothing = (None,) * width
    numbers = {path: number for number, path in enumerate(line_files(layout, folder))}
    lookups = read_lookups(layout, folder)
    written = []
    for path, rows in rows_of_files(layout, folder, names, lookups):
        written.append(str(into / f"{numbers[path]}.parquet"))
        with pq.ParquetWriter(written[-1], schema, compression="zstd") as writer:
            while chunk := [
                (*(row.fields or nothing), path.name, row.line, row.fault, row.text)
                for row in islice(rows, ROWS)
            ]:
                columns = zip(*chunk, strict=True)
                arrays = [
                    pa.array(column, of.type) for column, of in zip(columns, schema, strict=True)
                ]
                writer.write_table(pa.table(arrays, schema))
    asked = [
        {
            "path": str(lookup.path),
            "key": lookup.key,
            "knows": lookup.asked.get(True),
            "lacks": lookup.asked.get(False),
        }
        for lookup in lookups
    ]
    return {"paths": written, "lookups": asked}


def read_rows(layout: OrderLines, path: Path) -> Iterator[Row]:
    """The rows of a file as text; first one with the names of its columns."""
    if path.name.lower().endswith(".parquet"):
        keys = [column_name(key) for on in layout.lookups.values() for key in on]
        yield from parquet_rows(path, {*layout.columns, *keys})
        return
    for record in records(path, layout.encoding, layout.delimiter):
        yield Row(record.line, record.text, record.fields, record.fault)


def _chooser(
    layout: OrderLines, path: Path, header: list[str | None], lookups: list[Lookup]
) -> Callable[[list[str | None]], tuple[str | None, ...]]:
    """A function that chooses `layout.columns` from the fields of a row."""
    names = [column_name(name or "") for name in header]
    width = len(names)
    joined = []
    for lookup in lookups:
        joined.append((_place(path, names[:width], lookup.key), lookup))
        names += lookup.added
    places = [_place(path, names, name, width) for name in layout.columns]

    def pick(fields: list[str | None]) -> tuple[str | None, ...]:
        row = list(fields)
        for place, lookup in joined:
            code = code_of(fields[place])
            found = lookup.values.get(code)
            if found is not None:
                lookup.asked[True] = code
            elif code and code.lower() not in MISSING:
                lookup.asked[False] = code
            row += found or (None,) * len(lookup.added)
        return tuple([row[place] for place in places])

    return pick


def _place(path: Path, names: list[str], name: str, width: int | None = None) -> int:
    """Where a column stands. Those of the lines, the first `width`, come before those added."""
    own = names[:width]
    if own.count(name) > 1 or name not in own and names.count(name) > 1:
        raise LayoutError(f"{path}: column {name} stands more than once. Rename one")
    if name not in names:
        found = ", ".join(names)[:400]
        hint = "" if len(own) > 1 else ". One column only: is `delimiter` right?"
        raise LayoutError(f"{path}: column {name} missing. Found: {found}{hint}")
    return names.index(name)


def _lookup(layout: OrderLines, folder: Path, pattern: str, on: tuple[str, str]) -> Lookup:
    paths = files_of(folder, (pattern,))
    if len(paths) != 1:
        raise LayoutError(
            f"lookups: {len(paths)} files {pattern} in the folder {folder}. Expected one"
        )
    (path,) = paths
    rows = read_rows(layout, path)
    names = [column_name(name or "") for name in next(rows).fields]
    key = _place(path, names, column_name(on[1]))
    used = [place for place, name in enumerate(names) if name in layout.columns and place != key]
    values: dict[str, tuple[str | None, ...]] = {}
    for row in rows:
        if row.fault == "blank line":
            continue
        if row.fault:
            raise LayoutError(f"{path}: line {row.line}: {row.fault}")
        code = code_of(row.fields[key])
        found = tuple(row.fields[place] for place in used)
        if values.setdefault(code, found) != found:
            raise LayoutError(
                f"{path}: line {row.line}: {on[1]} {code} again, with other values. Keep one"
            )
    return Lookup(path, column_name(on[0]), [names[place] for place in used], values, {})


def parquet_rows(path: Path, needed: Collection[str] = ()) -> Iterator[Row]:
    """The rows of a Parquet file as text; first one with the names of its columns.

    needed: names of columns that have to be text, numbers or times; any other that is not has no
    values. Raises LayoutError.
    """
    try:
        file = pq.ParquetFile(path)
        yield Row(0, None, list(file.schema_arrow.names), None)
        number = 0
        for batch in file.iter_batches(batch_size=ROWS):
            columns = []
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                text = _as_text(column)
                if text is None and column_name(name) in needed:
                    raise LayoutError(
                        f"{path}: column {name} of type {column.type} cannot be read as text. Save "
                        "it as text, whole numbers, DECIMAL, FLOAT, DOUBLE, DATE or TIMESTAMP"
                    )
                columns.append(text or [None] * len(column))
            for fields in zip(*columns, strict=True):
                number += 1
                yield Row(number, None, list(fields), None)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise LayoutError(
            f"{path}: damaged or cut short ({reason}). Copy or make it again"
        ) from None


def _as_text(column: pa.Array) -> list[str | None] | None:
    """Values as a text file would show them; None where none could: of half floats, which have too
    few digits for ids and amounts, of what is nested, and of bytes that are no UTF-8."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_float16(kind):
        return None
    if pa.types.is_floating(kind):
        single = None if pa.types.is_float64(kind) else kind.to_pandas_dtype()
        return [
            None if value is None else float_text(value, single) for value in column.to_pylist()
        ]
    if pa.types.is_decimal(kind):  # a cast writes 0E-9 where there are that many decimals
        return [None if value is None else f"{value:f}" for value in column.to_pylist()]
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        utc = pc.cast(column, pa.timestamp(kind.unit, "UTC"))
        text = pc.strftime(utc, format="%Y-%m-%d %H:%M:%S")
        return [None if value is None else f"{value}Z" for value in text.to_pylist()]
    try:
        return pc.cast(column, pa.string()).to_pylist()
    except pa.ArrowException:
        return None


def float_text(value: float, single: type[np.floating] | None = None) -> str:
    """A float as a text file would show it, a whole number without decimals. From where on several
    whole numbers share a float, or of fractions several hundredths, its exponent says that digits
    are lost.

    single: its type, where it is of less than double precision.
    """
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    limit = 2.0 ** (53 if single is None else 24)
    whole = value == math.trunc(value)
    if abs(value) >= (limit if whole else limit / 2**7):
        return f"{value:e}"
    if whole:
        return str(int(value))
    return np.format_float_positional(value if single is None else single(value), trim="0")
