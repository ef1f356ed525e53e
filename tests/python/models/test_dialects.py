"""All SQL, as dbt compiles it for either engine, is SQL to sqlfluff's dialect of that engine, and
little of it is written for one alone. Needs no Java: in Spark's place stands a session that answers
what macros ask while they compile.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from unittest import mock

import pyarrow.parquet as pq
import pytest
from journey_files import write_journey
from kinds_of_lines import write_lines

ROOT = Path(__file__).resolve().parents[3]
TYPES = {"int64": "bigint", "double": "double", "string": "string", "timestamp[ns]": "timestamp"}
"""Of Arrow -> of Spark."""
OF_LAYOUTS = ("staging", "marts/promotions", "marts/quality")
"""Where layouts differ."""
MISSING_IN_SQLFLUFF = [
    (r"\bgroup by all\b", "group by 1"),
    (r"\bwithin group \([^()]*\)", ""),
    (r"\bfilter \([^()]*\) over\b", "over"),
]
"""What its grammar of Spark lacks, and what to read in its place."""


class Session:
    """Answers the functions of Python and what is asked of files; of all else there is nothing."""

    _rows: list[tuple] = []

    def __init__(self, **_):
        pass

    @property
    def description(self):
        return [(f"column_{place}",) for place in range(len(self._rows[0]) if self._rows else 1)]

    def cursor(self):
        return self

    def execute(self, sql, *_):
        from dbt_project.functions import FUNCTIONS, order_line_functions

        functions = FUNCTIONS | order_line_functions(Path)
        sql = re.sub(r"^/\*.*?\*/", "", sql, flags=re.DOTALL)  # dbt's comment
        function = re.match(r"\s*select\s+(?:path, )?(\w+)\(", sql)
        texts = re.findall("'([^']*)'", sql)
        if described := re.match(r"\s*describe query .*`(.*)`", sql):
            schema = pq.read_schema(described[1])
            self._rows = [(field.name, TYPES[str(field.type)]) for field in schema]
        elif function is None or function[1] not in functions:
            self._rows = []
        elif "explode" not in sql:
            self._rows = [(functions[function[1]](*texts),)]
        elif function[1] in FUNCTIONS:
            self._rows = [(path, functions[function[1]](path)) for path in texts]
        else:
            layout, folder, *groups = texts
            self._rows = [(functions[function[1]](layout, folder, names),) for names in groups]

    def fetchall(self):
        return self._rows

    def close(self):
        pass


@pytest.fixture(scope="module")
def layouts(chain, tmp_path_factory) -> dict[str, tuple[Path, str, list[str]]]:
    """Kind of layout -> raw folder, layout, and which nodes are compiled."""
    folder = tmp_path_factory.mktemp("raw")
    for name in ("lines", "journey"):
        (folder / name).mkdir()
    write_lines(folder / "lines", folder / "chain.yml")
    write_journey(folder / "journey")
    all_tests = "resource_type:test,test_type:singular"
    few = [f"path:models/{place},resource_type:model" for place in OF_LAYOUTS]
    few.append("raw_totals_are_staged")
    return {
        "lgsr": (chain, "lgsr", ["resource_type:model", all_tests]),
        "order_lines": (folder / "lines", str(folder / "chain.yml"), few),
        "complete_journey": (folder / "journey", "complete_journey", few),
    }


@pytest.mark.parametrize(
    ("target", "layout"),
    [
        ("duckdb", "order_lines"),  # the others: make lint-sql
        ("spark", "lgsr"),
        ("spark", "order_lines"),
        ("spark", "complete_journey"),
    ],
)
def test_sql_is_of_the_dialect(layouts, dbt_environment, tmp_path, target, layout):
    dialect = {"duckdb": "duckdb", "spark": "sparksql"}[target]
    if target == "spark":
        for needed in ("dbt.adapters.spark", "pyspark"):
            pytest.importorskip(needed, reason="needs the extra spark")
    compiled = compile_all(target, *layouts[layout], dbt_environment, tmp_path)
    assert compiled.keys() > {"stg_transactions", "stg_weeks", "raw_totals_are_staged"}
    assert {
        name: problems for name, sql in compiled.items() if (problems := wrong(sql, dialect))
    } == {}


def compile_all(target, raw, layout, select, dbt_environment, folder) -> dict[str, str]:
    """Names of models and tests -> their SQL."""
    import contextlib

    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    variables = dbt_environment(folder, raw) | {"RETAILSIM_LAYOUT": layout}
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, variables))
        if target == "spark":
            stack.enter_context(mock.patch("dbt_project.spark.start"))
            stack.enter_context(mock.patch("dbt.adapters.spark.session.Connection", Session))
        result = dbtRunner().invoke([
            "--quiet", "--no-populate-cache", "compile", "--indirect-selection", "empty",
            "--target", target, "--select", *select,
        ])  # fmt: skip
        DuckDBConnectionManager.close_all_connections()
    assert result.success, result.exception
    return {each.node.name: each.node.compiled_code for each in result.result.results}


def wrong(sql: str, dialect: str) -> list[str]:
    """What sqlfluff cannot parse."""
    from sqlfluff.core import FluffConfig, Linter

    if dialect == "sparksql":
        for missing, instead in MISSING_IN_SQLFLUFF:
            sql = re.sub(missing, instead, sql)
    linter = Linter(FluffConfig(overrides={"dialect": dialect, "templater": "raw"}))
    return [str(violation) for violation in linter.parse_string(sql).violations]


def test_what_is_no_sql_is_found():
    """Otherwise the test above could not fail."""
    of_duckdb, of_spark = "select struct_pack(a := 1)\n", "select a from parquet.`b`\n"
    assert wrong(of_duckdb, "sparksql") and not wrong(of_duckdb, "duckdb")
    assert wrong(of_spark, "duckdb") and not wrong(of_spark, "sparksql")


def test_little_is_written_for_one_engine():
    """Lines of macros that are dispatched by engine, and others that ask which it is."""
    lines = own = 0
    for folder in ("macros", "models", "tests/dbt"):
        for path in (ROOT / folder).rglob("*.sql"):
            inside = False
            for line in path.read_text(encoding="utf-8").splitlines():
                inside = inside or bool(re.match(r"\{% macro (default|spark)__", line))
                lines += 1
                own += inside or "target.type" in line
                inside = (
                    inside
                    and not line.startswith("{% endmacro")
                    and not line.startswith("{%- endmacro")
                )
    print(f"{own} of {lines} lines of SQL are of one engine: {own / lines:.1%}")
    assert 0 < own <= 0.1 * lines
