"""Running dbt from tests, and what is made once per session, by whichever worker needs it first.

What only the warehouse needs is imported where it is used: machines for the trainer lack it.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import profiles  # noqa: F401 - how many examples generated tests try
import pytest
from demo import demo_arguments
from futures import SPLIT

ROOT = Path(__file__).resolve().parents[2]
RUN_OPTIONS = ["--no-use-colors", "--no-write-json", "--log-level-file", "none"]

# Tests run side by side, each on one thread. Read when torch is imported, and by child processes.
os.environ["OMP_NUM_THREADS"] = "1"


@dataclass(frozen=True)
class Warehouse:
    """A database that dbt wrote (or failed to), and what dbt printed."""

    path: Path
    returncode: int = 0
    output: str = ""

    def rows(self, query: str) -> list[tuple]:
        """Rows of a query; the file is open only while it runs."""
        import duckdb

        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def value(self, query: str):
        """The single value of a query."""
        ((value,),) = self.rows(query)
        return value


@pytest.fixture(scope="module")
def browser():
    """Chromium, by a driver; without either the test is skipped."""
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_api.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """`shared(name, make)` is a folder that `make(folder)` filled, once for all workers."""
    from filelock import FileLock

    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # each worker has a folder in the session's

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        path = base / name
        with FileLock(base / f"{name}.lock"):
            if not path.exists():
                unfinished = tmp_path_factory.mktemp(name)
                make(unfinished)
                unfinished.rename(path)
        return path

    return folder


def dbt_environment(folder: Path, raw: Path) -> dict[str, str]:
    """Environment variables with which dbt reads a raw folder and writes into another folder."""
    return {
        "RETAILSIM_RAW": str(raw.resolve()),
        "RETAILSIM_DB": str(folder / "warehouse.duckdb"),
        "RETAILSIM_TMP": str(folder / "spill"),
        "RETAILSIM_PREDICTIONS": "",
        "DBT_PROJECT_DIR": str(ROOT),
        "DBT_PROFILES_DIR": str(ROOT),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }


@pytest.fixture(scope="session", name="dbt_environment")
def _dbt_environment():
    """The function, for tests that start dbt by themselves."""
    return dbt_environment


@pytest.fixture(scope="session")
def dbt_command():
    """`dbt_command("build", raw=..., folder=...)` runs the real command in a process of its own;
    it writes into `folder`.
    """

    def run(*arguments: str, raw: Path, folder: Path) -> Warehouse:
        process = subprocess.run(
            [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments],
            env=os.environ | dbt_environment(folder, raw),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return Warehouse(folder / "warehouse.duckdb", process.returncode, process.stdout)

    return run


@pytest.fixture(scope="session")
def dbt(tmp_path_factory):
    """`dbt("build", raw=folder, ...)` runs dbt on a raw folder into a fresh database, or into that
    of an earlier run.

    It runs inside this process, on a project parsed once for each kind of layout: to start and to
    parse takes longer than many a run. Unit tests are left out, they do not depend on the receipts:
    `warehouse` has them.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    # The same paths for all runs, because a parsed project remembers them.
    folder = tmp_path_factory.mktemp("dbt")
    written = folder / "warehouse.duckdb"
    runners: dict[str, dbtRunner] = {}

    def runner_of(layout: str) -> dbtRunner:
        kind = layout if layout in ("lgsr", "complete_journey") else "order_lines"
        if kind not in runners:
            variables = dbt_environment(folder, raw=folder) | {"RETAILSIM_LAYOUT": layout}
            with mock.patch.dict(os.environ, variables):
                runners[kind] = dbtRunner(dbtRunner().invoke(["--quiet", "parse"]).result)
        return runners[kind]

    def run(
        *arguments: str,
        raw: Path,
        environment: dict[str, str] | None = None,
        into: Warehouse | None = None,
        layout: str | Path = "lgsr",
    ) -> Warehouse:
        runner = runner_of(str(layout))
        # An earlier run's `show --inline` stays in the parsed project, and a second is refused.
        runner.manifest.nodes.pop("sql_operation.retailsim.inline_query", None)
        if into is not None:
            into.path.rename(written)
        variables = dbt_environment(folder, raw) | {
            "DBT_EXCLUDE_RESOURCE_TYPES": "unit_test",
            "RETAILSIM_LAYOUT": str(layout),
        }
        with (
            mock.patch.dict(os.environ, variables | (environment or {})),
            contextlib.redirect_stdout(io.StringIO()) as output,
        ):
            result = runner.invoke([*RUN_OPTIONS, *arguments])
        # The codes of the command: 1 where something failed, 2 where dbt itself could not go on.
        returncode = 0 if result.success else 1 if result.exception is None else 2
        # dbt keeps the file open for its next run, and so does the traceback of an error, which
        # lives in a cycle: the next run would find the old database under the same path.
        DuckDBConnectionManager.close_all_connections()
        if returncode:
            del result
            gc.collect()
        kept = (
            tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb" if into is None else into.path
        )
        if written.exists():
            written.rename(kept)
        return Warehouse(kept, returncode, output.getvalue())

    return run


@pytest.fixture(scope="session")
def chain(shared) -> Path:
    """Raw folder of a synthetic chain of independent weeks, whose probabilities are known."""
    from dbt_project.sample import ChainConfig, generate_chain

    config = ChainConfig(behaviour="independent")
    return shared("chain", lambda folder: generate_chain(config, folder))


@pytest.fixture(scope="session")
def warehouse(dbt_command, shared, chain) -> Warehouse:
    """The warehouse of the default chain, built by the real command with every dbt test."""

    def make(folder: Path) -> None:
        result = dbt_command("build", raw=chain, folder=folder)
        assert result.returncode == 0, result.output

    return Warehouse(shared("default_warehouse", make) / "warehouse.duckdb")


@pytest.fixture(scope="session")
def built(dbt, shared):
    """`built(name, raw, ...)` is the warehouse that `dbt run` made of a raw folder, once for all
    workers.
    """

    def warehouse(name: str, raw: Path, *arguments: str, layout: str = "lgsr") -> Warehouse:
        def make(folder: Path) -> None:
            result = dbt("run", *arguments, raw=raw, layout=layout)
            assert result.returncode == 0, result.output
            result.path.rename(folder / "warehouse.duckdb")

        return Warehouse(shared(name, make) / "warehouse.duckdb")

    return warehouse


@pytest.fixture(scope="session")
def demo_chain(shared) -> Path:
    """Raw folder of the demo's chain: over four times the default's receipts, little more than
    half its stores.
    """
    return shared("demo_chain", _like_the_demo)


@pytest.fixture(scope="session")
def independent_chain(shared) -> Path:
    """The demo's chain with independent weeks: regular prices that hardly move."""
    return shared("independent_chain", lambda f: _like_the_demo(f, "--behaviour", "independent"))


@pytest.fixture(scope="session")
def independent_warehouse(built, independent_chain) -> Warehouse:
    """Its warehouse, built without dbt's tests."""
    return built("independent_warehouse", independent_chain)


def _like_the_demo(folder: Path, *options: str) -> None:
    from dbt_project.sample.__main__ import main

    arguments = [*demo_arguments("dbt_project.sample"), *options, "--out", str(folder)]
    assert main(arguments) == 0


@pytest.fixture(scope="session")
def demo_warehouse(built, demo_chain) -> Warehouse:
    """The warehouse of the demo's chain, built without dbt's tests."""
    return built("demo_warehouse", demo_chain)


@pytest.fixture(scope="session")
def changed_future(built, shared, chain, warehouse):
    """`changed_future(change, week)` is the default chain's warehouse after `change`, a function
    of futures.py, from week `week` on, with its split; built once.
    """

    def build(change: Callable[[Path, Path, int], None], week: int) -> Warehouse:
        first = warehouse.value(f"select shop_week from weeks where week = {week}")
        name = f"{change.__name__}_{week}"
        raw = shared(f"{name}_chain", lambda folder: change(chain, folder, first))
        # The split follows the weeks at hand: with fewer of them it must be told.
        return built(f"{name}_warehouse", raw, "--vars", json.dumps(SPLIT))

    return build
