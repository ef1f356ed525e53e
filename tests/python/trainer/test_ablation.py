"""The command `python -m trainer.ablation`: what it trains, resumes, measures and refuses."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from damage import edit_json
from toy import toy_cache

from trainer import ablation, fit
from trainer.evaluation.bootstrap import Estimate
from trainer.evaluation.worth_table import markdown
from trainer.model.checkpoint import load_checkpoint
from trainer.training import SCHEDULES
from trainer.training.config import TrainingConfig


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=16, seed=9)


PARTS = ["categories+graph", "auxiliary"]


def command(cache, out, *more):
    where = ["--cache", str(cache.folder), "--out", str(out), "--preset", "tiny", "--epochs", "1"]
    return [*where, "--threads", "1", *more]


@pytest.fixture(scope="module")
def finished(cache, tmp_path_factory):
    """A folder with two variants and two seeds."""
    out = tmp_path_factory.mktemp("runs") / "ablation"
    assert ablation.main(command(cache, out, "--seeds", "0", "4", "--parts", *PARTS)) == 0
    return out


def table(folder):
    return json.loads((folder / "worth.json").read_text())


def test_every_variant_is_trained_with_every_seed(finished, cache):
    assert sorted(path.name for path in finished.iterdir()) == [
        "whole-seed0", "whole-seed4", "without-auxiliary-seed0", "without-auxiliary-seed4",
        "without-categories+graph-seed0", "without-categories+graph-seed4", "worth.json",
        "worth.md",
    ]  # fmt: skip
    runs = {path.name: load_checkpoint(path / "best") for path in finished.glob("*-seed*")}
    assert not list(finished.glob("*/last"))
    assert runs["without-categories+graph-seed4"].config.without == ("categories", "graph")
    assert runs["without-auxiliary-seed0"].config == runs["whole-seed0"].config
    for name, run in runs.items():
        config = TrainingConfig.from_dict(run.progress["training"])
        assert config.seed == int(name[-1])
        for phase in config.phases:
            assert phase.losses.size == 0 or "auxiliary" not in name
            assert phase.losses.focal > 0


def test_the_table_is_of_the_same_trips_and_adds_up(finished, cache):
    content = table(finished)
    assert (content["seeds"], content["preset"], content["split"]) == ([0, 4], "tiny", "validation")
    assert content["cache_digest"] == cache.digest
    assert list(content["without"]) == PARTS
    for name, found in content["without"].items():
        for task, value in content["whole"].items():
            cost = Estimate(**found["costs"][task])
            assert cost.value == pytest.approx(value - found["value"][task], abs=1e-12), name
            assert cost.low <= cost.value <= cost.high
        tasks = [value for task, value in found["value"].items() if task != "mean"]
        assert found["value"]["mean"] == pytest.approx(sum(tasks) / 3)


def test_the_whole_model_is_that_of_fit(finished, cache, tmp_path):
    arguments = ["--cache", str(cache.folder), "--out", str(tmp_path / "run"), "--threads", "1"]
    assert fit.main([*arguments, "--preset", "tiny", "--epochs", "1", "--seed", "4"]) == 0
    one, other = (load_checkpoint(f / "best") for f in (tmp_path / "run", finished / "whole-seed4"))
    assert one.weights_digest == other.weights_digest
    scores = json.loads((finished / "whole-seed4" / "scores.json").read_text())
    # The trips are those that chose the epoch.
    means = np.sum(scores["sums"], axis=0) / np.sum(scores["trips"], axis=0)
    assert means.mean() == pytest.approx(other.progress["curves"][0]["score"])


def test_nothing_is_trained_twice(finished, cache, tmp_path, capsys):
    """What is missing is trained, and the rest read; the table is the same as at once."""
    out = tmp_path / "again"
    shutil.copytree(finished, out)
    for name in ("whole-seed0", "without-auxiliary-seed4"):
        shutil.rmtree(out / name)
    assert ablation.main(command(cache, out, "--seeds", "0", "4", "--parts", *PARTS)) == 0
    assert table(out) == table(finished)
    printed = capsys.readouterr()
    begun = [line for line in printed.err.splitlines() if line.startswith("run ")]
    assert begun == ["run 1 of 6: whole-seed0", "run 6 of 6: without-auxiliary-seed4"]
    assert printed.out == (out / "worth.md").read_text() == (finished / "worth.md").read_text()


def test_a_run_that_was_stopped_goes_on(finished, cache, tmp_path, capsys, monkeypatch):
    """Stopped when it was trained, before it was scored."""
    arguments = command(cache, tmp_path, "--seeds", "0", "--parts", "auxiliary")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ablation.Evaluator, "by_customer", stop)
        assert ablation.main(arguments) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert (tmp_path / "whole-seed0" / "last").exists()
    assert ablation.main(arguments) == 0
    assert "going on after epoch 1" in capsys.readouterr().err
    one, other = (json.loads((f / "whole-seed0/scores.json").read_text()) for f in
                  (tmp_path, finished))  # fmt: skip
    assert [one[name] for name in ("sums", "trips")] == [other[name] for name in ("sums", "trips")]


@pytest.mark.parametrize(
    "more, message",
    [
        (["--parts", "attention"], "expected trip-encoder, .* by \\+, not 'attention'"),
        (["--parts", "decoder+"], "joined by \\+, not ''"),
        (["--seeds", "-1"], "--seeds: expected a whole number from 0"),
        (["--customers", "0"], "--customers: expected a whole number from 1"),
        (["--cache", "nowhere"], "nowhere/manifest.json does not exist"),
    ],
)
def test_bad_options_are_one_line(cache, tmp_path, capsys, more, message):
    assert ablation.main(command(cache, tmp_path / "out", *more)) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and "\n" not in error
    assert re.search(message, error), error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "edit, message",
    [
        (lambda facts: facts["model"].update(width=3), "measured with another model than"),
        (lambda facts: facts["training"].update(tokens=3), "measured with another training than"),
        (lambda facts: facts.update(customers=[1]), "measured with another customers than"),
        (lambda facts: facts.update(cache_digest="x"), "measured with another cache_digest"),
        (lambda facts: facts.pop("sums"), "is damaged"),
        (lambda facts: facts.update(sums="many"), "is damaged"),
    ],
)
def test_scores_of_something_else_are_not_used(finished, cache, tmp_path, capsys, edit, message):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    edit_json(out / "whole-seed0" / "scores.json", edit)
    assert ablation.main(command(cache, out, "--seeds", "0", "--parts", *PARTS)) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and error.startswith("error: ") and "\n" not in error


def test_damaged_scores_and_foreign_files(finished, cache, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    path = out / "whole-seed0" / "scores.json"
    path.write_text(path.read_text().replace('"epochs": 1', '"epochs": 2'))
    arguments = command(cache, out, "--seeds", "0", "--parts", *PARTS)
    assert ablation.main(arguments) == 2
    assert "scores.json is damaged (its digest differs): remove" in capsys.readouterr().err
    (out / "worth.md").write_text("mine")
    assert ablation.main(arguments) == 2
    assert "worth.md is there already, and this command did not write it" in capsys.readouterr().err
    assert (out / "worth.md").read_text() == "mine"


def test_parts_have_one_order_and_name():
    assert ablation.variant("graph+categories") == ablation.variant("categories+graph")
    run = ablation.Run.of("graph+contrastive", SCHEDULES["tiny"], 3, Path("out"))
    assert run.without == ("graph",) and str(run.folder) == "out/without-graph+contrastive-seed3"
    assert {phase.losses.contrastive for phase in run.config.phases} == {0}
    assert set(ablation.VARIANTS) == {ablation.variant(name) for name in ablation.VARIANTS}


def test_a_loss_that_a_preset_lacks_is_not_left_out(cache, tmp_path, capsys):
    arguments = command(cache, tmp_path / "out", "--parts", "graph+contrastive")
    arguments[arguments.index("tiny")] = "small"
    assert ablation.main(arguments) == 2
    assert "trained without the loss 'contrastive' anyway" in capsys.readouterr().err
    assert "contrastive" not in ablation._parts(None, SCHEDULES["small"])
    assert ablation._parts(None, SCHEDULES["tiny"]) == list(ablation.VARIANTS)


def test_the_table_as_text(finished):
    value = {"next_unknown": 0.32, "next_known": 0.38, "completion": 0.29, "mean": 0.33}
    cost = {"mean": {"value": 0.0042, "low": -0.001, "high": 0.01, "trips": 1}}
    content = {
        "weeks": [81, 95], "preset": "small", "trips": 5429, "customers": 400,
        "split": "validation", "seeds": [0, 1], "whole": value,
        "without": {"categories+graph": {"value": value, "costs": cost}},
    }  # fmt: skip
    lines = list(markdown(content))
    assert "5,429 fresh trips of 400 customers in validation weeks 81-95" in lines[2]
    assert lines[-2:] == [
        "| nothing | .3200 | .3800 | .2900 | .3300 | | |",
        "| categories + graph | .3200 | .3800 | .2900 | .3300 | +.0042 | -.0010 to +.0100 |",
    ]
