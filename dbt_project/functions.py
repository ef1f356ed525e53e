"""Functions of Python that SQL may call, on every engine: texts to text, which is JSON.

What a file or the layout says is the same whichever engine asks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from .layouts import LayoutError, load_layout
from .layouts.order_lines import OrderLines
from .layouts.text_tables import checked_files, write_text_tables
from .layouts.totals import totals
from .text_files import first_line, folder, text_file


def layout(name: str) -> dict[str, Any]:
    """A layout's fields; the one key `problem` where it cannot be used."""
    try:
        found = load_layout(name)
    except LayoutError as error:
        return {"problem": str(error)}
    fields: dict[str, Any] = asdict(found)
    if found.order_lines is not None:
        for key in ("columns", "has_time"):
            fields["order_lines"][key] = getattr(found.order_lines, key)
    return fields


def int96_columns(path: str) -> list[str]:
    """Names of a Parquet file's columns that hold times as INT96: Spark reads and shows these as it
    does times with a zone, which they are not.
    """
    schema = pq.ParquetFile(path).schema
    columns = map(schema.column, range(len(schema)))
    return [column.path for column in columns if column.physical_type == "INT96"]


def project_digest(text: str) -> str:
    """A digest of the project, which decides what is made of receipts, and of a text."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256(text.encode())
    for path in sorted(
        path
        for part in ("models", "macros", "dbt_project", "dbt_project.yml")
        for path in [root / part, *(root / part).rglob("*")]
        if path.suffix in (".sql", ".yml", ".py") and path.is_file()
    ):
        digest.update(f"\n{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _as_json(function: Callable[[str], Any]) -> Callable[[str], str]:
    return lambda text: json.dumps(function(text))


FUNCTIONS: dict[str, Callable[[str], str]] = {
    function.__name__: _as_json(function)
    for function in (layout, folder, first_line, text_file, int96_columns, project_digest)
}
"""By their names in SQL."""


def order_line_functions(
    new_folder: Callable[[], Path],
) -> dict[str, Callable[[str, str, str], str]]:
    """Functions of a layout's name, a folder with files of order lines and a JSON list of names, by
    their own names in SQL. They give JSON, with the one key `problem` where layout or files cannot
    be used.

    `order_line_files` gives the names of the folder's files; `text_tables` writes the text tables
    of those named (`write_text_tables`) into a folder that it asks for; `order_line_totals` counts
    them again. The last two may be called for some of the files at a time, and on any machine that
    sees both folders.
    """

    def called(
        name: str, folder: str, names: str, function: Callable[[OrderLines, Path, list[str]], Any]
    ) -> str:
        try:
            mapping = load_layout(name).order_lines
            if mapping is None:
                raise LayoutError(f"layout {name}: its files are not order lines")
            return json.dumps(function(mapping, Path(folder), json.loads(names)))
        except LayoutError as error:
            return json.dumps({"problem": str(error)})

    return {
        "order_line_files": lambda name, folder, names: called(
            name,
            folder,
            names,
            lambda mapping, path, _: [file.name for file in checked_files(mapping, path)],
        ),
        "text_tables": lambda name, folder, names: called(
            name,
            folder,
            names,
            lambda mapping, path, files: write_text_tables(mapping, path, files, new_folder()),
        ),
        "order_line_totals": lambda name, folder, names: called(name, folder, names, totals),
    }
