"""What the SQL project promises of itself, read off its files: layers and engines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODELS = {
    path.stem: path for path in (ROOT / "models").rglob("*.*") if path.suffix in (".sql", ".py")
}
REF = re.compile(r"\bref\(\s*['\"](\w+)['\"]\s*\)")

# What a layer may read. A macro that calls ref (price_or_fallback) is for queries, not for models.
READS = {
    "stg": {"stg"},
    "int": {"stg", "int"},
    "mart": {"stg", "int", "mart"},
    "cache": {"int", "mart"},
}

# Expressions that DuckDB has and Spark lacks, or has under another name or with another result.
ONLY_DUCKDB = re.compile(
    r"""
    \b(?:hash|quantile_cont|columns|list|list_\w+|strptime|try_strptime|strftime|date_diff|datediff
        |dayofweek|arg_max|arg_min|struct_pack|to_json|read_\w+|unnest|epoch|array_agg)\s*\(
    | \b(?:hugeint|uhugeint|rowid|asof|exclude|lambda|pivot)\b
    | \bfirst\(\s*\w+\s+order\b
    | \w\s*//\s*\w
    | \[[^\]]*\bfor\b[^\]]*\bin\b
    | :=
    """,
    re.VERBOSE | re.IGNORECASE,
)


def layer(model: str) -> str:
    """stg, int, mart or cache, by the name of the model and its folder."""
    prefix = model.partition("_")[0]
    if prefix in ("stg", "int", "cache"):
        return prefix
    assert "marts" in MODELS[model].parts, f"{model}: no prefix and not in models/marts"
    return "mart"


def code(path: Path) -> str:
    """A file of SQL and Jinja without its comments."""
    text = re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)
    return re.sub(r"--.*", "", text)


@pytest.mark.parametrize("model", sorted(MODELS))
def test_layers_read_downwards(model):
    read = set(REF.findall(code(MODELS[model])))
    assert read <= MODELS.keys()
    forbidden = sorted(name for name in read if layer(name) not in READS[layer(model)])
    assert not forbidden, f"{model} reads {forbidden}"


def test_the_layers_are_all_there():
    """Otherwise the test above could not fail."""
    assert {layer(model) for model in MODELS} == READS.keys()
    assert REF.findall("from {{ ref('trips') }} join {{ ref( \"weeks\" ) }}") == ["trips", "weeks"]


def portable_files() -> list[Path]:
    """Models, SQL tests and the macros they use; reading raw files is DuckDB's by nature."""
    macros = (ROOT / "macros").rglob("*.sql")
    files = [path for path in macros if path.parent.name not in ("raw", "engine")]
    files += [path for path in MODELS.values() if path.suffix == ".sql"]
    return [*files, *(ROOT / "tests" / "dbt").rglob("*.sql")]


@pytest.mark.parametrize("path", portable_files(), ids=lambda path: path.stem)
def test_expressions_of_one_engine_stand_in_macros_engine(path):
    found = ONLY_DUCKDB.search(code(path))
    assert not found, f"{path.relative_to(ROOT)}: {found[0]!r} belongs into macros/engine"


@pytest.mark.parametrize(
    "sql",
    [
        "hash(a, b)", "x::hugeint", "rowid as n", "asof left join t", "* exclude (a)", "a // b",
        "list_transform(x, y)", "list(x order by y)", "[x + 1 for x in xs]", "columns('a.*')",
        "try_strptime(x, '%Y')", "date_diff('day', a, b)", "arg_max(a, b)", "quantile_cont(x, .5)",
        "first(a order by b)", "struct_pack(a := 1)", "dayofweek(d)",
    ],
)  # fmt: skip
def test_the_search_finds(sql):
    assert ONLY_DUCKDB.search(sql)


def test_every_dispatched_macro_says_why():
    """Each default stands in macros/engine, begins with a comment, and is dispatched to."""
    for path in (ROOT / "macros" / "engine").glob("*.sql"):
        text = path.read_text()
        defaults = re.findall(r"macro default__(\w+)\([^)]*\) %\}\s*(\{#)?", text)
        assert defaults, path.name
        for name, comment in defaults:
            assert comment, f"{path.name}: default__{name} says not why"
            assert f"adapter.dispatch('{name}', 'retailsim')" in text, name
