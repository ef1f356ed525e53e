"""Running dbt from tests: the real command, in its own process, on folders of the test's own.

What only the warehouse needs is imported where it is used: machines for the trainer lack it.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from demo import demo_arguments

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Warehouse:
    """A database that dbt wrote (or failed to), and what dbt printed."""

    path: Path
    returncode: int
    output: str

    def rows(self, query: str) -> list[tuple]:
        """Rows of a query; the file is open only while it runs."""
        import duckdb

        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def value(self, query: str):
        """The single value of a query."""
        ((value,),) = self.rows(query)
        return value


@pytest.fixture(scope="session")
def dbt(tmp_path_factory):
    """`dbt("build", raw=folder, ...)` runs dbt on a raw folder into a fresh database."""
    target = tmp_path_factory.mktemp("dbt")
    command = str(Path(sys.executable).with_name("dbt"))

    # The same paths for all runs: dbt parses the whole project again when its environment changes.
    written = target / "warehouse.duckdb"
    read = target / "raw"

    def run(*arguments: str, raw: Path, environment: dict[str, str] | None = None) -> Warehouse:
        read.unlink(missing_ok=True)
        read.symlink_to(raw.resolve(), target_is_directory=True)
        process = subprocess.run(
            [command, "--no-use-colors", *arguments],
            cwd=ROOT,
            env=os.environ
            | {
                "RETAILSIM_RAW": str(read),
                "RETAILSIM_DB": str(written),
                "RETAILSIM_TMP": str(target / "spill"),
                "DBT_TARGET_PATH": str(target / "target"),
                "DBT_LOG_PATH": str(target / "logs"),
            }
            | (environment or {}),
            capture_output=True,
            text=True,
            check=False,
        )
        kept = tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb"
        if written.exists():
            written.rename(kept)
        return Warehouse(kept, process.returncode, process.stdout + process.stderr)

    return run


@pytest.fixture(scope="session")
def chain(tmp_path_factory) -> Path:
    """Raw folder of the default synthetic chain."""
    from dbt_project.sample import ChainConfig, generate_chain

    folder = tmp_path_factory.mktemp("chain")
    generate_chain(ChainConfig(), folder)
    return folder


@pytest.fixture(scope="session")
def warehouse(dbt, chain) -> Warehouse:
    """The warehouse of the default chain, built with every dbt test."""
    result = dbt("build", raw=chain)
    assert result.returncode == 0, result.output
    return result


@pytest.fixture(scope="session")
def demo_chain(tmp_path_factory) -> Path:
    """Raw folder of the demo's chain: over four times the default's receipts, little more than
    half its stores.
    """
    from dbt_project.sample.__main__ import main

    folder = tmp_path_factory.mktemp("demo_chain")
    assert main([*demo_arguments("dbt_project.sample"), "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def demo_warehouse(dbt, demo_chain) -> Warehouse:
    """The warehouse of the demo's chain, built without dbt's tests."""
    result = dbt("run", raw=demo_chain)
    assert result.returncode == 0, result.output
    return result


@pytest.fixture(scope="session")
def changed_future(dbt, chain, warehouse, tmp_path_factory):
    """`changed_future(change, week)` is the default chain's warehouse after `change`, a function
    of futures.py, from week `week` on; built once.
    """

    @functools.cache
    def build(change: Callable[[Path, Path, int], None], week: int) -> Warehouse:
        folder = tmp_path_factory.mktemp("future")
        change(chain, folder, warehouse.value(f"select shop_week from weeks where week = {week}"))
        result = dbt("run", raw=folder)
        assert result.returncode == 0, result.output
        return result

    return build
