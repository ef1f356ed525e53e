"""What dbt's runs leave in the warehouse: whose tables, whether they belong together, and why not."""

from __future__ import annotations

from unittest import mock

import duckdb
import pytest
from receipts import TIME, line, write_raw

from dbt_project import tour
from dbt_project.export import prepare_tensor_cache
from dbt_project.warehouse import WarehouseError, open_warehouse


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_raw(tmp_path_factory.mktemp("raw"), [line(), line(basket_id="2")])


@pytest.fixture(scope="module")
def whole(dbt, raw):
    """The warehouse of these receipts, all models and no test."""
    result = dbt("run", raw=raw)
    assert result.returncode == 0, result.output
    return result


@pytest.fixture
def warehouse(whole, tmp_path):
    """A copy to go on with."""
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(whole.path.read_bytes())
    return type(whole)(path)


def problem(warehouse) -> str | None:
    """Why the warehouse is refused."""
    try:
        with open_warehouse(warehouse.path):
            return None
    except WarehouseError as error:
        return str(error)


def overlapping_weeks(folder):
    write_raw(folder, [line(), line(basket_id="2")])
    (folder / "time.csv").write_text(TIME + "200610,20060430,20060506\n")
    return folder


def test_a_run_without_tests_is_good(whole, raw, tmp_path):
    assert problem(whole) is None
    assert prepare_tensor_cache(whole.path, tmp_path / "cache").rows("trips") == 2
    assert whole.rows("select distinct kind, status from build_record") == [("model", "success")]
    size = (raw / "transactions_200607.csv").stat().st_size
    assert whole.rows("select source_file, bytes from build_files order by all") == [
        ("time.csv", len(TIME)),
        ("transactions_200607.csv", size),
    ]


def test_a_build_whose_test_fails_is_refused(dbt, warehouse, raw, tmp_path, capsys, monkeypatch):
    bad = overlapping_weeks(tmp_path / "bad")
    result = dbt("build", "--quiet", "--select", "stg_weeks", raw=bad, into=warehouse)
    assert result.returncode == 1
    why = (
        "time.csv: week 200610 begins on 2006-04-30, before or when the week before it ends, on "
        "2006-04-30"
    )
    assert f"weeks_do_not_overlap: {why}" in result.output
    expected = f"{warehouse.path}: test weeks_do_not_overlap failed: {why}. Put that right and run"
    assert problem(warehouse).startswith(expected)
    with pytest.raises(WarehouseError, match="weeks_do_not_overlap failed"):
        prepare_tensor_cache(warehouse.path, tmp_path / "cache")
    monkeypatch.setenv("RETAILSIM_DB", str(warehouse.path))
    assert tour.main([]) == 2
    assert "weeks_do_not_overlap failed" in capsys.readouterr().err

    # The calendar is right again, but what was built from the old one is not.
    assert dbt("build", "--select", "stg_weeks", raw=raw, into=warehouse).returncode == 0
    assert "was built before stg_weeks, which it reads: run dbt build" in problem(warehouse)
    assert dbt("run", raw=raw, into=warehouse).returncode == 0
    assert problem(warehouse) is None


def test_a_test_that_fails_later_and_passes_again(dbt, warehouse, raw):
    for change, refused in [("set basket_size = 'XXL'", True), ("set basket_size = 'S'", False)]:
        with duckdb.connect(str(warehouse.path)) as connection:
            connection.execute(f"update trips {change}")
        result = dbt("test", "--select", "trips", raw=raw, into=warehouse)
        assert result.returncode == refused
        assert (problem(warehouse) is not None) == refused


def test_a_model_that_fails_is_named_with_its_reason(dbt, warehouse, raw, tmp_path):
    bad = write_raw(tmp_path / "bad", ["cut short"], name="transactions_200607.csv.gz")
    result = dbt("run", "--select", "stg_transactions+", raw=bad, into=warehouse)
    assert result.returncode == 1
    why = "transactions_200607.csv.gz: damaged or cut short ("
    assert why in result.output and why in problem(warehouse)


@pytest.mark.parametrize("moment", ["execute_nodes", "after_run"])
def test_a_run_that_is_killed(dbt, warehouse, raw, moment):
    """Before it touches a table, and when all are made but not entered."""
    with mock.patch(f"dbt.task.run.RunTask.{moment}", side_effect=SystemExit):
        dbt("run", "--select", "weeks", raw=raw, into=warehouse)
    assert "was stopped before it had finished weeks: run dbt build again" in problem(warehouse)


def test_retry_enters_what_it_builds(dbt, warehouse, raw):
    """`dbt retry` does not tell hooks what it selects, nor does this run."""
    with (
        mock.patch("dbt.selected_resources.set_selected_resources"),
        mock.patch("dbt.selected_resources.SELECTED_RESOURCES", []),
    ):
        models = ["stg_weeks", "int_substitution_clusters"]
        assert dbt("run", "--select", *models, raw=raw, into=warehouse).returncode == 0
        assert "was built before stg_weeks" in problem(warehouse)
        with mock.patch("dbt.task.run.RunTask.after_run", side_effect=SystemExit):
            dbt("run", "--select", "stg_weeks", raw=raw, into=warehouse)
        assert "stopped before it had finished stg_weeks" in problem(warehouse)


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("create table customers as select 1 as id, 42 as points", "customers"),
        ("create view Stores as select 9 as my_store", "stores"),
        ("create table build_record as select 1 as id", "build_record"),
        ("create table build_files as select 1 as id", "build_files"),
    ],
)
def test_tables_of_others_are_left_alone(dbt, raw, tmp_path, whole, statement, name):
    own = type(whole)(tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(own.path)) as connection:
        connection.execute(statement)
        connection.execute("create table unrelated as select 1 as id")
    everything = (
        "select table_name, sql from duckdb_tables() union all "
        "select view_name, sql from duckdb_views() order by all"
    )
    before = own.rows(everything)
    result = dbt("run", raw=raw, into=own)
    assert result.returncode == 2
    told = " ".join(result.output.split())
    assert "RETAILSIM_DB: " in told and "/warehouse.duckdb holds a table" in told
    assert f"holds a table {name} that this project did not make" in told
    assert "Name another file in RETAILSIM_DB" in told
    assert own.rows(everything) == before


def test_files_that_changed_since_they_were_read(dbt, warehouse, raw, tmp_path):
    """Said by models that do not read them; no raw files at all say nothing."""
    more = write_raw(tmp_path / "more", [line(), line(basket_id="2")])
    for file in raw.iterdir():
        (more / file.name).write_bytes(file.read_bytes())
    (more / "transactions_200608.csv").write_text((raw / "transactions_200607.csv").read_text())
    said = "warning: raw files were added, changed or removed since receipts were last read"
    result = dbt("run", "--quiet", "--select", "stores", raw=more, into=warehouse)
    assert result.returncode == 0 and said in result.output
    for folder in (raw, tmp_path / "nowhere"):
        result = dbt("run", "--select", "stores", raw=folder, into=warehouse)
        assert result.returncode == 0 and said not in result.output
