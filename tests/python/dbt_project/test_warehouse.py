"""Which warehouses are refused, decided from records of builds made by hand and at random."""

from __future__ import annotations

import random

import duckdb
import pytest

from dbt_project import tour
from dbt_project.warehouse import (
    SPARK_SCHEMA,
    WarehouseError,
    check_build,
    connect,
    open_warehouse,
)

# A diamond with a tail: what each model reads.
READS = {
    "stage": [], "weeks": [], "lines": ["stage"], "trips": ["lines", "weeks"],
    "prices": ["lines"], "items": ["trips", "prices"],
}  # fmt: skip
TESTS = {"lines_are_unique": ["lines"], "items_agree": ["items", "trips"]}


class Record:
    """The record as dbt's hooks keep it, and what is true of the tables, to compare with."""

    def __init__(self):
        self.connection = duckdb.connect()
        self.rows: dict[str, tuple] = {}
        self.entry = 0
        self.content: dict[str, tuple] = {}
        """What a table was computed from, all the way down; a number where it read files."""
        self.files = 0
        self.failed_content: dict[str, list] = {}
        """Of a test that failed: the contents that it failed on."""

    def enter(self, statuses: dict[str, str]) -> None:
        self.entry += bool(statuses)
        for name, status in statuses.items():
            kind = "model" if name in READS else "test"
            reads = READS.get(name) or TESTS.get(name, [])
            parents = [f"model.retailsim.{parent}" for parent in reads]
            self.rows[f"{kind}.retailsim.{name}"] = (kind, status, "why", parents, self.entry)

    def build(self, models: set[str], tests: set[str], wrong: set[str], killed_after: int) -> None:
        """A run of these, in which what is `wrong` fails, and which may be killed on its way."""
        self.files += 1
        self.enter(dict.fromkeys(models, "building"))
        statuses: dict[str, str] = {}
        skipped: set[str] = set()
        for step, name in enumerate(name for name in READS if name in models):
            if step == killed_after:
                return
            if name in wrong or skipped & set(READS[name]):
                skipped.add(name)
                statuses[name] = "error" if name in wrong else "skipped"
            else:
                statuses[name] = "success"
                parents = tuple(self.content.get(parent) for parent in READS[name])
                self.content[name] = (name, parents or self.files)
        for name in sorted(tests):
            ran_on = [self.content.get(model) for model in TESTS[name]]
            statuses[name] = "fail" if name in wrong else "pass"
            self.failed_content[name] = ran_on if name in wrong else []
        self.enter(statuses)

    def is_consistent(self) -> bool:
        """Whether each table holds what it would hold if built from the others as they are."""
        whole = all(
            not READS[name] or parents == tuple(self.content.get(parent) for parent in READS[name])
            for name, (_, parents) in self.content.items()
        )
        failing = any(
            ran_on and ran_on == [self.content.get(model) for model in TESTS[name]]
            for name, ran_on in self.failed_content.items()
        )
        return whole and not failing

    def problem(self) -> str | None:
        write(self.connection, self.rows)
        try:
            check_build(self.connection, "w.duckdb")
        except WarehouseError as error:
            return str(error)
        return None


def write(connection: duckdb.DuckDBPyConnection, rows: dict[str, tuple]) -> None:
    connection.execute(
        "create or replace table build_record (node varchar, kind varchar, status varchar, "
        "message varchar, depends_on json, entry bigint)"
    )
    given = [value for node, row in rows.items() for value in (node, *row)]
    if rows:
        marks = ", ".join(["(?, ?, ?, ?, ?::json, ?)"] * len(rows))
        connection.execute(f"insert into build_record values {marks}", given)


@pytest.mark.parametrize("seed", range(20))
def test_a_mixture_is_never_accepted_and_a_whole_run_always(seed):
    chance = random.Random(seed)

    def some(names, share: float) -> set[str]:
        return {name for name in names if chance.random() < share}

    record = Record()
    for _ in range(12):
        whole = chance.random() < 0.3
        models = set(READS) if whole else some(READS, 0.5)
        wrong = some([*READS, *TESTS], 0.1 if chance.random() < 0.5 else 0)
        killed_after = chance.randrange(len(READS)) if chance.random() < 0.2 else len(READS)
        record.build(models, some(TESTS, 0.3), wrong, killed_after)
        problem = record.problem()
        if problem is None:
            assert record.is_consistent()
        if whole and not wrong and killed_after == len(READS):
            assert problem is None


def built() -> Record:
    record = Record()
    record.build(set(READS), set(TESTS), set(), len(READS))
    assert record.problem() is None
    return record


@pytest.mark.parametrize(
    ("models", "tests", "wrong", "killed_after", "message"),
    [
        (["trips", "items"], [], [], 0, "stopped before it had finished items and 1 more: run dbt"),
        (["trips", "items"], [], ["trips"], 9, "model trips failed: why. Put that right and run"),
        ([], ["items_agree"], ["items_agree"], 9, "test items_agree failed: why. Put that right"),
        (["lines"], [], [], 9, "mixes old and new tables, prices was built before lines"),
        (["trips", "items"], [], [], 9, None),
        (["items"], ["items_agree"], [], 9, None),
    ],
)
def test_what_is_said(models, tests, wrong, killed_after, message):
    record = built()
    record.build(set(models), set(tests), set(wrong), killed_after)
    problem = record.problem()
    assert (problem is None) == (message is None)
    if message:
        assert problem.startswith("w.duckdb: ") and message in problem and "\n" not in problem
        assert "dbt build" in problem
        # Whatever happened, building everything makes it good.
        record.build(set(READS), set(), set(), len(READS))
        assert record.problem() is None


def test_a_test_that_passes_again_heals():
    record = built()
    record.build(set(), {"items_agree"}, {"items_agree"}, 9)
    assert record.problem()
    record.build(set(), {"lines_are_unique"}, set(), 9)
    assert record.problem()
    record.build(set(), {"items_agree"}, set(), 9)
    assert record.problem() is None


def test_tour_says_so_in_one_line(tmp_path, monkeypatch, capsys):
    path = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("RETAILSIM_DB", str(path))

    def told() -> str:
        assert tour.main([]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        (line,) = output.err.splitlines()
        return line

    assert told() == f"error: {path} does not exist: run dbt build in a checkout first"
    path.write_text("mine\n" * 5000)
    assert f"{path} cannot be opened" in told()
    path.unlink()
    duckdb.connect(str(path)).close()
    assert told() == f"error: {path} is empty: run dbt build first"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table mine as select 1")
    assert f"{path} has no record of a build" in told()
    with duckdb.connect(str(path)) as connection:
        write(connection, built().rows)
    assert f"{path} cannot be read: Catalog Error" in told()


def test_it_is_closed_again(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        write(connection, built().rows)
    with open_warehouse(path) as connection:
        assert connection.execute("select count(*) from build_record").fetchone() == (8,)
    duckdb.connect(str(path)).close()


def test_the_column_in_the_names_of_folders_is_a_column(tmp_path):
    """Tables as Spark stores them: one of weeks, one without rows, one that is a single file."""
    warehouse = tmp_path / "it's here"
    tables = warehouse / SPARK_SCHEMA
    for folder, rows in [
        ("trips/week=2", "(7, 1.5)"), ("trips/week=10", "(8, 2.5), (9, 0)"),
        ("baskets/shop_week=200607", "(5, 1)"), ("nothing/as_of_week=0", "(1, 1) where false"),
        ("stores", "(3, 4)"),
    ]:  # fmt: skip
        (tables / folder).mkdir(parents=True)
        values, _, condition = rows.partition(" where ")
        target = str(tables / folder / "part.parquet").replace("'", "''")
        duckdb.sql(
            f"copy (select * from (values {values}) as t (key, figure) where {condition or 'true'})"
            f" to '{target}'"
        )
    with connect(warehouse) as connection:
        trips = connection.execute("select week, key from trips order by week, key").fetchall()
        assert trips == [(2, 7), (10, 8), (10, 9)]
        for table, column, kind in [
            ("trips", "week", "SMALLINT"), ("baskets", "shop_week", "INTEGER"),
            ("nothing", "as_of_week", "SMALLINT"),
        ]:  # fmt: skip
            described = dict(row[:2] for row in connection.execute(f"describe {table}").fetchall())
            assert described[column] == kind and len(described) == 3
        assert connection.execute("select count(*) from nothing").fetchone() == (0,)
        assert connection.execute("from stores").fetchall() == [(3, 4)]
