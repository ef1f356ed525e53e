"""The command: receipts of several runs, their summary, and what it refuses."""

from __future__ import annotations

import csv
import gzip
import json

import pytest
from toy_start import START

from simulator.command import last_fresh_week, output_folder
from simulator.run import main
from trainer.cache.atomic import new_folder
from trainer.cache.json_files import is_intact, read_json
from trainer.commands.errors import InputError
from trainer.model.checkpoint import load_checkpoint, save_checkpoint
from trainer.report.run import Run
from trainer.report.simulated import FIGURES, read_simulation

WEEKS, RUNS = 2, 2


@pytest.fixture(scope="module")
def folder(chain, tmp_path_factory):
    """A run of `fit` with the toy chain's model as its best checkpoint, and a simulation of it."""
    cache, model = chain
    folder = tmp_path_factory.mktemp("command")
    save_checkpoint(folder / "run" / "best", model, cache, {})
    assert main([*given(cache, folder), "--out", str(folder / "out"), "--seed", "7"]) == 0
    return folder


def given(cache, folder):
    return [
        str(folder / "run" / "best"), "--cache", str(cache.folder), "--start", str(START),
        "--weeks", str(WEEKS), "--runs", str(RUNS),
    ]  # fmt: skip


def rows(folder):
    """Lines of the receipts in a folder."""
    found = []
    for path in sorted(folder.glob("transactions_*.csv.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            found += csv.DictReader(file)
    return found


def test_each_run_is_a_folder_of_receipts_and_the_summary_counts_them(chain, folder):
    cache, _ = chain
    out = folder / "out"
    assert sorted(path.name for path in out.iterdir()) == ["run-00", "run-01", "summary.json"]
    content = read_json(out / "summary.json")
    assert is_intact(content)
    assert content["simulated_weeks"] == [START + 1, START + WEEKS] and content["seed"] == 7
    for number, found in enumerate(content["runs"]):
        shop_week = cache["weeks.shop_week"][START : START + WEEKS].tolist()
        lines = rows(out / f"run-{number:02d}")
        by_week = [[row for row in lines if int(row["SHOP_WEEK"]) == week] for week in shop_week]
        assert sum(map(len, by_week)) == len(lines) > 0
        known = [[row for row in its if row["CUST_CODE"]] for its in by_week]
        expected = {
            "trips": [len({row["BASKET_ID"] for row in its}) for its in known],
            "customers": [len({row["CUST_CODE"] for row in its}) for its in known],
            "items": [len(its) for its in known],
            "spend_pence": [sum(round(100 * float(row["SPEND"])) for row in its) for its in known],
            "anonymous_trips": [
                len({row["BASKET_ID"] for row in its if not row["CUST_CODE"]}) for its in by_week
            ],
        }
        assert found == expected
    assert content["runs"][0] != content["runs"][1]


def test_the_report_reads_the_summary(chain, folder):
    cache, _ = chain
    run = Run.read(folder / "run", cache)
    weeks = read_simulation(folder / "out" / "summary.json", run, cache)
    assert weeks.first == START + 1 and weeks.scenario is None
    assert {weeks.runs[name].shape for name in FIGURES} == {(RUNS, WEEKS)}
    assert {len(values) for values in weeks.before.values()} == {START}


def test_seeds_follow_one_another(chain, folder, tmp_path, capsys):
    """The second run of seed 7 is the first one of seed 8; a scenario's name is kept."""
    cache, _ = chain
    nothing = tmp_path / "nothing.yml"
    nothing.write_text("days: []\n")
    arguments = [*given(cache, folder), "--out", str(tmp_path / "out"), "--seed", "8"]
    assert main([*arguments, "--runs", "1", "--scenario", str(nothing)]) == 0
    assert rows(tmp_path / "out" / "run-00") == rows(folder / "out" / "run-01")
    content = read_json(tmp_path / "out" / "summary.json")
    assert content["scenario"] == "nothing.yml"
    weights = load_checkpoint(folder / "run" / "best").weights_digest
    assert (content["cache_digest"], content["weights_digest"]) == (cache.digest, weights)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("| week | trips") and len(printed) == 2 + WEEKS + 1
    assert f"weeks {START + 1}-{START + WEEKS}, runs: 1; " in printed[-1]


def test_two_processes_write_the_same(chain, folder, tmp_path):
    cache, _ = chain
    arguments = [*given(cache, folder), "--out", str(tmp_path / "out"), "--seed", "7"]
    assert main([*arguments, "--processes", "2"]) == 0
    for number in range(RUNS):
        name = f"run-{number:02d}"
        assert rows(tmp_path / "out" / name) == rows(folder / "out" / name)
    texts = [(at / "out" / "summary.json").read_text() for at in (tmp_path, folder)]
    assert json.loads(texts[0]) == json.loads(texts[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is no checkpoint"),
        (["run/best", "--cache", "nowhere"], "nowhere"),
        (["run/best", "--out", "out"], "--out: out is there already: name a new folder"),
        (["run/best", "--out", "run/best/checkpoint.json"], "is there already: name a new folder"),
        (["run/best", "--weeks", "0"], "--weeks: expected a whole number from 1 to 520"),
        (["run/best", "--runs", "10001"], "--runs: expected a whole number from 1 to 10000"),
        (["run/best", "--seed", str(2**32 - 1), "--runs", "2"], "--seed: 2 runs from there"),
        (["run/best", "--start", "19"], "start 19: expected a week from 20"),
        (["run/best", "--start", "31"], "to 30, the last of"),
        (["run/best", "--scenario", "nowhere.yml"], "nowhere.yml"),
        (["run/best", "--processes", "0"], "--processes: expected a whole number"),
    ],
)
def test_errors_are_one_line(chain, folder, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    cache = [] if "--cache" in arguments else ["--cache", str(chain[0].folder)]
    out = [] if "--out" in arguments else ["--out", "new"]
    assert main([*arguments, *cache, *out]) == 2
    printed, error = capsys.readouterr()
    assert printed == "" and error.count("\n") == 1
    assert error.startswith("error: ") and message in error
    assert sorted(folder.rglob("*")) == before


def test_one_process_at_a_time_writes_to_a_folder(tmp_path):
    out = tmp_path / "out"
    with output_folder(out):
        with pytest.raises(InputError, match="another process writes to"), output_folder(out):
            pass
        assert out.is_dir()
    assert not out.exists()  # nothing was written
    with output_folder(out), new_folder(out) as fresh:
        (fresh / "found").touch()
    with pytest.raises(InputError, match="is there already"), output_folder(out):
        pass
    assert (out / "found").exists()


def test_it_starts_after_the_last_week_that_is_no_copy(chain):
    """The toy chain's last two weeks are copies."""
    cache, _ = chain
    assert last_fresh_week(cache) == 28
