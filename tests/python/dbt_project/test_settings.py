"""A setting that cannot work is named in one line, before dbt opens the database."""

from __future__ import annotations

import subprocess
import sys

import pytest

GOOD = {"RETAILSIM_THREADS": "2", "RETAILSIM_MEMORY": "5GB", "RETAILSIM_TMP": "spill"}


@pytest.fixture
def problem(tmp_path):
    """`problem(RETAILSIM_X=...)` is the first thing wrong with these settings, or None."""
    from dbt_project.settings import problems

    def first(**changed: str) -> str | None:
        given = {"RETAILSIM_DB": str(tmp_path / "w.duckdb"), **GOOD, **changed}
        config = {
            "threads": given["RETAILSIM_THREADS"],
            "memory_limit": given["RETAILSIM_MEMORY"],
            "temp_directory": given["RETAILSIM_TMP"],
        }
        return next(problems(given["RETAILSIM_DB"], config), None)

    return first


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("RETAILSIM_THREADS", ["0", "x", "-1", "1.5", "", "100000"], ["1", "16"]),
        ("RETAILSIM_MEMORY", ["5", "abc", "", "0GB", "-1GB"], ["1GB", "0.5 GiB", "800mb", "50%"]),
    ],
)
def test_numbers(problem, name, wrong, right):
    for value in wrong:
        told = problem(**{name: value})
        assert told.startswith(f"{name}={value}: give ") and "\n" not in told
    for value in right:
        assert problem(**{name: value}) is None


def test_places(problem, tmp_path):
    taken = tmp_path / "notes.txt"
    taken.write_text("mine\n" * 5000)
    for name, path, message in [
        ("RETAILSIM_DB", tmp_path, "this is a folder"),
        ("RETAILSIM_DB", tmp_path / "no" / "w.duckdb", f"there is no folder {tmp_path / 'no'}"),
        ("RETAILSIM_DB", taken, "this is not a DuckDB file"),
        ("RETAILSIM_DB", tmp_path / "main.duckdb", "DuckDB uses the name main itself"),
        ("RETAILSIM_DB", "/proc/w.duckdb", "Name a file that can be written to"),
        ("RETAILSIM_TMP", taken / "spill", f"{taken} is not a folder"),
    ]:
        told = problem(**{name: str(path)})
        assert told.startswith(f"{name}={path}: ") and message in told and "\n" not in told
    assert taken.read_text() == "mine\n" * 5000
    assert not (tmp_path / "no").exists()


def test_a_folder_that_cannot_be_written_to(problem, tmp_path, monkeypatch):
    """Root may write everywhere, so the system's answer is changed."""
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert problem(RETAILSIM_TMP=str(tmp_path)).startswith(f"RETAILSIM_TMP={tmp_path}: ")


def test_a_database_in_use(problem, tmp_path):
    path = tmp_path / "w.duckdb"
    code = f"import duckdb; c = duckdb.connect({str(path)!r}); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        assert (
            problem() == f"RETAILSIM_DB={path}: another process uses it. Wait until it has finished"
        )
        other.communicate(b"\n")
    assert problem() is None


def test_dbt_says_it_without_a_stack_trace(dbt, tmp_path):
    for arguments in (["run"], ["build", "--quiet"], ["show", "--inline", "select 1"]):
        result = dbt(*arguments, raw=tmp_path, environment={"RETAILSIM_THREADS": "x"})
        assert result.returncode == 2
        last = result.output.rstrip().splitlines()[-1].strip()
        assert last == "RETAILSIM_THREADS=x: give a whole number of threads, such as 2"
        assert "Traceback" not in result.output
        assert not result.path.exists()
