"""Gives DuckDB the functions of Python that SQL may call (functions.py): a plugin of dbt-duckdb,
named in profiles.yml.
"""

from __future__ import annotations

import atexit
import tempfile
from pathlib import Path

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from .functions import FUNCTIONS, order_line_functions
from .substitution_clusters import substitution_clusters


class Plugin(BasePlugin):
    """What dbt-duckdb looks for in a plugin's module."""

    _near: Path
    """DuckDB's folder for temporary files."""
    _tables: tempfile.TemporaryDirectory | None = None
    """The text tables written last; deleted with the process, or when others are written."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Called when the database was opened."""
        # A linter leaves it open, and Python would list what its functions keep from being freed.
        atexit.register(conn.close)
        ((near,),) = conn.execute("select current_setting('temp_directory')").fetchall()
        self._near = Path(near)
        for name, function in FUNCTIONS.items():
            conn.create_function(name, function, ["VARCHAR"], "VARCHAR")
        keys = "INTEGER[]"
        conn.create_function(
            "substitution_clusters", substitution_clusters, [keys, keys], f"{keys}[]"
        )
        for name, function in order_line_functions(self._new_folder).items():
            # They read and write files: not to be called twice, nor ahead of time.
            conn.create_function(name, function, ["VARCHAR"] * 3, "VARCHAR", side_effects=True)

    def _new_folder(self) -> Path:
        self._near.mkdir(parents=True, exist_ok=True)
        self._tables = tempfile.TemporaryDirectory(prefix="order_lines_", dir=self._near)
        return Path(self._tables.name)
