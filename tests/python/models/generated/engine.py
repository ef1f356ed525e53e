"""The real models on one folder after the other, in about a tenth of a second each.

Of a `dbt run` most of the time goes into starting and bookkeeping. Here dbt parses the project
once; then its Jinja renders the models and DuckDB runs them in memory. The models of staging, whose
macros look at the files, are rendered for every folder, the others once.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.factory import get_adapter, register_adapter, reset_adapters
from dbt.cli.main import dbtRunner
from dbt.clients.jinja import get_rendered
from dbt.config.runtime import RuntimeConfig
from dbt.context.providers import generate_runtime_model_context
from dbt.flags import get_flags, set_from_args
from dbt.mp_context import get_mp_context
from dbt_common.context import set_invocation_context
from dbt_common.exceptions import DbtRuntimeError

ROOT = Path(__file__).resolve().parents[4]
WANTED = ["int_items", "rejected_rows"]
CHECKS = ["raw_totals_are_staged", "lines_stay_in_file_order"]


class BuildStopped(Exception):
    """The build stopped, with dbt's or DuckDB's message."""


class Engine:
    """Runs the models behind `WANTED` on raw folders. Made by `engine()`."""

    def __init__(self) -> None:
        self.manifest = dbtRunner().invoke(["--quiet", "--log-level-file", "none", "parse"]).result
        # Macros ask for the command: only a run insists on files.
        set_from_args(Namespace(**vars(get_flags()) | {"which": "run", "WHICH": "run"}), None)
        self.config = RuntimeConfig.from_args(get_flags())
        reset_adapters()
        register_adapter(self.config, get_mp_context())
        self.adapter = get_adapter(self.config)
        self.adapter.set_macro_resolver(self.manifest)
        self.models, self.checks, self.contexts, self.rendered = [], [], {}, {}
        self.calendar = None  # of the last build, unless it stopped
        for node in self.manifest.nodes.values():
            if node.name in WANTED + CHECKS:
                self._add_with_parents(node)

    def _add_with_parents(self, node) -> None:
        for parent in node.depends_on.nodes:
            if parent in self.manifest.nodes:
                self._add_with_parents(self.manifest.nodes[parent])
        if node.name not in self.contexts:
            (self.checks if node.name in CHECKS else self.models).append(node)
            context = generate_runtime_model_context(node, self.config, self.manifest)
            self.contexts[node.name] = context

    def build(self, raw: Path, first: str | None = None) -> None:
        """Runs the models on a raw folder, or only model `first` and what depends on it.

        Raises `BuildStopped`.
        """
        set_invocation_context(os.environ | {"RETAILSIM_RAW": str(raw)})
        calendar = {file.name: file.read_bytes() for file in raw.glob("[tT][iI][mM][eE].*")}
        built = set()
        try:
            for model in self.models:
                if model.name == "stg_weeks" and calendar == self.calendar:
                    continue  # nearly always the same, and a quarter of the time
                if first in (None, model.name) or built & set(model.depends_on.nodes):
                    built.add(model.unique_id)
                    self._run(model)
        except (DbtRuntimeError, duckdb.Error) as error:
            self.calendar = None
            raise BuildStopped(str(error)) from error
        self.calendar = calendar

    def _run(self, model) -> None:
        kind = "view" if model.config.materialized == "view" else "table"
        self.rows(f"create or replace {kind} {model.relation_name} as (\n{self._sql(model)}\n)")

    def _sql(self, node) -> str:
        # Models of staging have macros that look at the files, and so has one test.
        if node.name not in self.rendered or "staging" in node.fqn or node in self.checks:
            sql = get_rendered(node.raw_code, self.contexts[node.name], node)
            self.rendered[node.name] = sql
        return self.rendered[node.name]

    def failed_checks(self) -> list[str]:
        """Names of the dbt tests in `CHECKS` that fail after a build."""
        return [node.name for node in self.checks if self.rows(self._sql(node))]

    def rows(self, query: str) -> list[tuple]:
        connection = self.adapter.connections.get_thread_connection()
        return connection.handle.cursor().execute(query).fetchall()


@contextmanager
def engine(scratch: Path) -> Iterator[Engine]:
    """An engine that keeps its data in memory and whatever dbt writes in a scratch folder."""
    environment = {
        "RETAILSIM_DB": ":memory:",
        "RETAILSIM_TMP": str(scratch / "spill"),
        "RETAILSIM_PREDICTIONS": "",
        "RETAILSIM_THREADS": "1",
        "DBT_PROJECT_DIR": str(ROOT),
        "DBT_PROFILES_DIR": str(ROOT),
        "DBT_TARGET_PATH": str(scratch / "target"),
        "DBT_LOG_PATH": str(scratch / "logs"),
    }
    with mock.patch.dict(os.environ, environment):
        made = Engine()
        with made.adapter.connection_named("generated"):
            # Made at the beginning of a run, and empty in a full build.
            made.rows("create table build_added (run text, source_file text, first_shop_week int)")
            yield made
        DuckDBConnectionManager.close_all_connections()
        reset_adapters()
