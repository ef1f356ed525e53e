"""Functions of Python for SQL on DuckDB: those of functions.py, and the files of order lines as
tables of text, `text_tables(name, folder, near)`, which `order_line_totals` counts again. A plugin
of dbt-duckdb, named in profiles.yml.
"""

from __future__ import annotations

import atexit
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from .functions import FUNCTIONS
from .layouts import LayoutError, load_layout
from .layouts.order_lines import OrderLines
from .layouts.text_tables import write_text_tables
from .layouts.totals import totals
from .substitution_clusters import substitution_clusters


class Plugin(BasePlugin):
    """What dbt-duckdb looks for in a plugin's module."""

    _tables: tempfile.TemporaryDirectory | None = None
    """The text tables written last; deleted with the process, or when others are written."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Called when the database was opened."""
        # A linter leaves it open, and Python would list what its functions keep from being freed.
        atexit.register(conn.close)
        for name, function in FUNCTIONS.items():
            conn.create_function(name, function, ["VARCHAR"], "VARCHAR")
        keys = "INTEGER[]"
        conn.create_function(
            "substitution_clusters", substitution_clusters, [keys, keys], f"{keys}[]"
        )
        for function in (self.text_tables, self.order_line_totals):
            # They read and write files: not to be called twice, nor ahead of time.
            conn.create_function(
                function.__name__, _as_json(function), ["VARCHAR"] * 3, "VARCHAR", side_effects=True
            )

    def text_tables(self, layout: OrderLines, folder: Path, near: Path) -> list[str]:
        """Paths of the text tables of a folder's files of order lines (`write_text_tables`), in a
        new folder in `near`, DuckDB's for temporary files.
        """
        near.mkdir(parents=True, exist_ok=True)
        self._tables = tempfile.TemporaryDirectory(prefix="order_lines_", dir=near)
        return write_text_tables(layout, folder, Path(self._tables.name))

    def order_line_totals(self, layout: OrderLines, folder: Path, _: Path) -> list[dict[str, Any]]:
        """What `totals` says of a folder's files."""
        return totals(layout, folder)


def _as_json(function: Callable[[OrderLines, Path, Path], Any]) -> Callable[[str, str, str], str]:
    """A function of a layout's name and two folders that returns JSON; with the one key `problem`
    where a layout or file cannot be used.
    """

    def call(name: str, folder: str, near: str) -> str:
        try:
            mapping = load_layout(name).order_lines
            if mapping is None:
                raise LayoutError(f"layout {name}: its files are not order lines")
            return json.dumps(function(mapping, Path(folder), Path(near)))
        except LayoutError as error:
            return json.dumps({"problem": str(error)})

    return call
