"""Checks what the environment says before dbt opens the warehouse.

A plugin of dbt-duckdb, named in profiles.yml. DuckDB would say it in its own words, without the
name of the variable, and dbt would add a stack trace.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.plugins import BasePlugin

_MEMORY = re.compile(r"(?=.*[1-9])\d+(\.\d+)? ?([KMGT]i?B|%)", re.IGNORECASE)


class Plugin(BasePlugin):
    """What dbt-duckdb looks for in a plugin's module."""

    def update_connection_config(self, creds: DuckDBCredentials, config: dict[str, Any]) -> None:
        """Called just before the database is opened. Raises RuntimeError, whose message dbt prints
        without a stack trace.
        """
        for problem in problems(creds.path, config):
            raise RuntimeError(problem)


def problems(path: str, config: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a database file and DuckDB's `config`, each in one line.

    config: `threads`, `memory_limit` and `temp_directory`, as text.
    """
    threads, memory, spill = (config[key] for key in ("threads", "memory_limit", "temp_directory"))
    if not re.fullmatch(r"0*[1-9]\d{0,3}", threads):
        yield f"RETAILSIM_THREADS={threads}: give a whole number of threads, such as 2"
    if not _MEMORY.fullmatch(memory):
        yield f"RETAILSIM_MEMORY={memory}: give a number and a unit, such as 5GB"
    if reason := _unwritable_folder(Path(spill)):
        yield f"RETAILSIM_TMP={spill}: {reason}. Name a folder that can be written to"

    database = Path(path)
    if database.is_dir():
        yield f"RETAILSIM_DB={path}: this is a folder. Name a file in it"
    if not database.parent.is_dir():
        yield f"RETAILSIM_DB={path}: there is no folder {database.parent}. Make it first"
    catalog = DuckDBCredentials.path_derived_database_name(path)
    if catalog in ("main", "system", "temp"):
        yield f"RETAILSIM_DB={path}: DuckDB uses the name {catalog} itself. Choose another"
    try:
        duckdb.connect(path, config=config).close()
    except duckdb.Error as error:
        yield f"RETAILSIM_DB={path}: {_reason(error)}"


def _unwritable_folder(folder: Path) -> str | None:
    """Why the folder cannot be made or written to."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        return f"{folder} is not a folder"
    return None if os.access(folder, os.W_OK) else f"{folder} cannot be written to"


def _reason(error: duckdb.Error) -> str:
    reason = str(error).splitlines()[0]
    if "Could not set lock" in reason:
        return "another process uses it. Wait until it has finished"
    if "not a valid DuckDB database" in reason:
        return "this is not a DuckDB file. Name another, or move this one away"
    return f"{reason.removeprefix('IO Error: ')}. Name a file that can be written to"
