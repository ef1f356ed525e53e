"""Lets SQL ask for a layout: `layout(name)`. A plugin of dbt-duckdb, named in profiles.yml."""

from __future__ import annotations

import json
from dataclasses import asdict

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from .layout import LayoutError, load_layout


class Plugin(BasePlugin):
    """What dbt-duckdb looks for in a plugin's module."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Called when the database was opened."""
        conn.create_function("layout", layout, ["VARCHAR"], "VARCHAR")


def layout(name: str) -> str:
    """A layout as JSON; with the one key `problem` where it cannot be used."""
    try:
        return json.dumps(asdict(load_layout(name)))
    except LayoutError as error:
        return json.dumps({"problem": str(error)})
