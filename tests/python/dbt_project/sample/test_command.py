"""The command line: messages, exit codes, and what it refuses to delete."""

from __future__ import annotations

import json
import os

import pytest

from dbt_project.sample.__main__ import main

TINY = [
    "--customers=10", "--products=80", "--stores=3", "--weeks=3", "--workers=1",
]  # fmt: skip


@pytest.fixture
def run(tmp_path, capsys):
    """Run the command into `out`; gives exit code, stdout and stderr."""

    def call(*extra, out=tmp_path / "raw"):
        code = main([*TINY, "--out", str(out), *extra])
        return code, *capsys.readouterr()

    return call


def error_of(result) -> str:
    code, out, err = result
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    return err


def test_the_closing_line_says_what_was_written(run, tmp_path):
    code, out, _ = run("--seed", "11")
    assert code == 0
    facts = json.loads((tmp_path / "raw/truth/chain.json").read_text())
    assert out == (
        f"{facts['rows']:,} rows, {facts['baskets']:,} baskets, "
        f"spend {facts['spend_pence'] / 100:,.2f}, written to {tmp_path / 'raw'}, seed 11\n"
    )
    assert facts["config"]["seed"] == 11


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--customers", "0"], "--customers: expected a whole number from 1 to 9000000, not '0'"),
        (["--products", "61"], "--products: expected a whole number from 62"),
        (["--stores", "-1"], "--stores: expected a whole number from 1"),
        (["--weeks", "521"], "--weeks: expected a whole number from 1 to 520"),
        (["--seed", "1_0"], "--seed: expected a whole number from 0"),
        (["--workers", "0"], "--workers: expected a whole number from 1"),
        (["--replay-from", "1"], "--replay-from: expected a whole number from 2"),
        (["--replay-from", "4"], "replay-from must be"),
        (["--format", "xml"], "--format: invalid choice: 'xml'"),
    ],
)
def test_bad_sizes_are_named(run, tmp_path, options, message):
    assert message in error_of(run(*options))
    assert not (tmp_path / "raw").exists()


def test_help_explains_every_option(run, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for name in (
        "--out", "--customers", "--products", "--stores", "--weeks", "--seed", "--header",
        "--format", "--replay-from", "--workers", "--overwrite",
    ):  # fmt: skip
        assert name in text


def test_a_folder_that_cannot_be_written(run, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    assert "cannot create the folder" in error_of(run(out=blocker / "raw"))


def test_a_folder_that_may_not_be_written(run, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot write into" in error_of(run(out=tmp_path))


def test_a_chain_is_replaced_only_with_overwrite(run, tmp_path):
    assert run("--weeks", "3")[0] == 0
    before = (tmp_path / "raw/transactions_200607.csv").read_bytes()
    assert "add --overwrite" in error_of(run("--weeks", "2", "--seed", "9"))
    assert (tmp_path / "raw/transactions_200607.csv").read_bytes() == before
    assert run("--weeks", "2", "--seed", "9", "--overwrite", "--format", "parquet")[0] == 0
    names = sorted(p.name for p in (tmp_path / "raw").iterdir())
    assert names == [
        "time.csv", "transactions_200607.parquet", "transactions_200608.parquet", "truth",
    ]  # fmt: skip


def test_real_data_are_never_deleted(run, tmp_path):
    real = tmp_path / "raw" / "transactions_200607.csv"
    real.parent.mkdir()
    real.write_text("real")
    for options in ([], ["--overwrite"]):
        assert "did not write" in error_of(run(*options))
    assert real.read_text() == "real"


def test_a_foreign_file_beside_a_chain_is_never_deleted(run, tmp_path):
    assert run()[0] == 0
    foreign = tmp_path / "raw" / "transactions_200701.csv.gz"
    foreign.write_bytes(b"real")
    assert foreign.name in error_of(run("--overwrite"))
    assert foreign.read_bytes() == b"real"


def test_a_file_put_in_place_of_a_written_one_is_never_deleted(run, tmp_path):
    assert run()[0] == 0
    changed = tmp_path / "raw" / "transactions_200608.csv"
    changed.write_text("real data of the same name")
    assert changed.name in error_of(run("--overwrite"))
    assert changed.read_text() == "real data of the same name"


def test_a_broken_chain_json_is_no_licence_to_delete(run, tmp_path):
    assert run()[0] == 0
    chain = tmp_path / "raw" / "truth" / "chain.json"
    facts = json.loads(chain.read_text())
    for broken in ("{", "[]", json.dumps(facts | {"generator": "someone"})):
        chain.write_text(broken)
        assert "did not write" in error_of(run("--overwrite"))


def test_other_files_stay(run, tmp_path):
    note = tmp_path / "raw" / "notes.txt"
    note.parent.mkdir()
    note.write_text("mine")
    assert run()[0] == 0
    assert run("--overwrite")[0] == 0
    assert note.read_text() == "mine"


def test_a_failed_run_leaves_nothing_behind(run, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dbt_project.sample.chain.write_week", fail)
    code, out, err = run()
    assert (code, out) == (2, "")
    assert f"error: {tmp_path / 'raw' / 'truth'}: No space left on device" in err
    assert list((tmp_path / "raw").iterdir()) == []
