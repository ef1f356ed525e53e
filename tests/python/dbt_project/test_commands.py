"""Every command ends in one line where it cannot go on, and shows a stack trace on request."""

from __future__ import annotations

from importlib import import_module

import duckdb
import pytest

MODULES = (
    "dbt_project.check.__main__", "dbt_project.clean", "dbt_project.export.__main__",
    "dbt_project.oracle", "dbt_project.redraw", "dbt_project.sample.__main__",
    "dbt_project.sample.effects",
    "dbt_project.summary", "dbt_project.tour", "trainer.cache.shards", "trainer.evaluate",
    "trainer.fit", "trainer.graph.__main__", "trainer.report.__main__",
)  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_options_are_checked_in_one_line(name, capsys):
    main = import_module(name).main
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "--debug" in capsys.readouterr().out
    assert main(["--nonsense"]) == 2
    printed, said = capsys.readouterr()
    assert printed == "" and said.startswith("error: ") and said.count("\n") == 1


def test_an_error_of_the_database_is_one_line(tmp_path, monkeypatch, capsys):
    path = tmp_path / "w.duckdb"
    monkeypatch.setenv("RETAILSIM_DB", str(path))
    tour = import_module("dbt_project.tour").main
    for prepare in (
        lambda: None,
        lambda: duckdb.connect(path).close(),
        lambda: path.write_text("x"),
    ):
        prepare()
        assert tour([]) == 2
        printed, said = capsys.readouterr()
        assert printed == "" and said.startswith("error: ") and said.count("\n") == 1
        assert tour(["--debug"]) == 2
        assert "Traceback" in capsys.readouterr().err
