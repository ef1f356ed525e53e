"""Unpacks gzipped raw files once to see whether they are whole, before dbt reads them.

A plugin of dbt-duckdb, named in profiles.yml. DuckDB does not compare the checksum at the end of a
gzip file, so that a byte changed on the way would become another amount without a word.
"""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.flags import get_flags
from tqdm import tqdm

_CHUNK = 1 << 20
_Version = tuple[str, int, datetime]
"""Name, size in bytes and second of the last change of a file, as build_files holds them."""


class Plugin(BasePlugin):
    """What dbt-duckdb looks for in a plugin's module."""

    def update_connection_config(self, creds: DuckDBCredentials, config: dict[str, Any]) -> None:
        """Called just before the database is opened. Raises RuntimeError, whose message dbt prints
        without a stack trace.
        """
        if get_flags().WHICH in ("run", "build", "retry"):
            folder = Path(os.environ.get("RETAILSIM_RAW", "raw_data"))
            check_archives(folder, read_before(creds.path, config))


def read_before(database: str, config: dict[str, Any]) -> set[_Version]:
    """The raw files as they were when receipts were last read into a database."""
    if not Path(database).is_file():
        return set()
    with duckdb.connect(database, config=config) as connection:
        try:
            return set(connection.execute("from build_files").fetchall())
        except duckdb.CatalogException:  # no build yet
            return set()


def check_archives(folder: Path, known: set[_Version]) -> None:
    """Unpack every gzipped transactions file of the folder that is not among the known ones.

    Raises RuntimeError with the first that is damaged.
    """
    new = [path for path in _archives(folder) if _version(path) not in known]
    size = sum(path.stat().st_size for path in new)
    bar = tqdm(
        total=size, desc="checking archives", unit="B", unit_scale=True, file=sys.stderr,
        delay=3, leave=False,
    )  # fmt: skip
    with bar:
        for path in new:
            try:
                with gzip.open(path) as file:
                    while file.read(_CHUNK):
                        pass
            except (OSError, EOFError, zlib.error) as error:
                raise RuntimeError(
                    f"Raw data: {path}: damaged archive ({error}). Copy or download it again"
                ) from None
            bar.update(path.stat().st_size)


def _archives(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file()
        and path.name.lower().startswith("transactions")
        and path.name.lower().endswith(".gz")
    )


def _version(path: Path) -> _Version:
    status = path.stat()
    changed = timedelta(seconds=status.st_mtime_ns // 10**9)
    return path.name, status.st_size, datetime(1970, 1, 1) + changed
