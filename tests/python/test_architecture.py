"""Arrows between rooms run one way, and only entry points lie at the top of the trainer."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "commands", "cache", "features", "batches", "graph", "model", "next_baskets",
    "baselines", "training", "evaluation", "report",
)  # fmt: skip
"""Each room of `trainer/` may import those before it."""
SIDE_BY_SIDE = {("baselines", "training"), ("training", "baselines")}
"""Neighbours that must not import each other either."""
ENTRY_POINTS = {"__init__.py", "fit.py", "evaluate.py", "ablation.py", "visits.py", "predict.py"}


def imported(path: Path) -> set[str]:
    """Modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_earlier_rooms_only(room):
    files = list((ROOT / "trainer" / room).rglob("*.py"))
    assert files
    allowed = {*ROOMS[: ROOMS.index(room) + 1]}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in sorted(imported(path))
        if name.startswith("trainer.")
        and ((target := name.split(".")[1]) not in allowed or (room, target) in SIDE_BY_SIDE)
    ]
    assert wrong == []


def test_every_file_of_the_trainer_has_a_room():
    top = {path.name for path in (ROOT / "trainer").glob("*.py")}
    assert top == ENTRY_POINTS
    folders = {path.parent.name for path in (ROOT / "trainer").glob("*/*.py")}
    assert folders == set(ROOMS)


def test_the_server_needs_no_warehouse():
    for path in (ROOT / "serving").rglob("*.py"):
        tops = {name.split(".")[0] for name in imported(path)}
        assert not tops & {"dbt", "duckdb", "dbt_project", "simulator"}, path


def test_the_trainer_needs_no_warehouse_and_nothing_above_it():
    for path in (ROOT / "trainer").rglob("*.py"):
        tops = {name.split(".")[0] for name in imported(path)}
        assert not tops & {"dbt", "duckdb", "dbt_project", "simulator", "serving"}, path


def test_the_simulator_stands_on_the_trainer_alone_but_for_environments_and_policies():
    files = list((ROOT / "simulator").rglob("*.py"))
    assert files
    for path in files:
        names = imported(path)
        chain = ROOT / "simulator/environments", ROOT / "simulator/policy"
        if set(chain) & set(path.parents):
            # They stand on the synthetic chain, which reads no warehouse.
            allowed = ("dbt_project.sample", "gymnasium")
            names = {name for name in names if not name.startswith(allowed)}
        tops = {name.split(".")[0] for name in names}
        assert not tops & {"dbt", "duckdb", "dbt_project", "gymnasium", "serving"}, path


def test_the_synthetic_chain_needs_no_warehouse():
    for path in (ROOT / "dbt_project/sample").rglob("*.py"):
        tops = {name.split(".")[0] for name in imported(path)}
        assert not tops & {"dbt", "duckdb", "simulator", "serving"}, path
