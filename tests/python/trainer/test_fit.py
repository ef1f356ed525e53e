"""The command `python -m trainer.fit`: options, and one line for everything that is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy import TRAIN_LAST, WEEKS, toy_cache, toy_columns, toy_manifest

from trainer import fit
from trainer.cache.writer import write_cache
from trainer.model.checkpoint import load_model
from trainer.training import SCHEDULES


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=20, seed=9)


def options(*arguments):
    return fit._parser().parse_args(arguments)


@pytest.mark.parametrize(
    "epochs, expected",
    [
        (20, [3, 12, 5]),
        (40, [6, 24, 10]),
        (4, [1, 2, 1]),
        (1, [1]),
    ],
)
def test_epochs_stretch_the_phases(epochs, expected):
    config = fit.configuration(options("--preset", "base", "--epochs", str(epochs)))
    assert config.epochs == epochs
    assert [phase.epochs for phase in config.phases] == expected


def test_options_change_the_preset_and_nothing_else():
    config = fit.configuration(options("--learning-rate", "0.1", "--tokens", "99", "--seed", "5"))
    small = SCHEDULES["small"]
    assert max(phase.learning_rate for phase in config.phases) == pytest.approx(0.1)
    ratios = [
        changed.final_rate / phase.final_rate
        for changed, phase in zip(config.phases, small.phases, strict=True)
    ]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))
    assert (config.tokens, config.seed, config.patience) == (99, 5, small.patience)
    assert fit.configuration(options()) == small


def test_a_run_from_nothing_and_its_end(cache, tmp_path, capsys, monkeypatch):
    arguments = ["--cache", str(cache.folder), "--out", str(tmp_path / "run"), "--preset", "tiny"]
    assert fit.main([*arguments, "--epochs", "2", "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert "2 epochs; best validation score" in printed.out
    assert "epoch 2/2" in printed.err
    assert not load_model(tmp_path / "run" / "best", cache).training
    # The same command finds nothing left to do; another one says why it cannot go on.
    assert fit.main([*arguments, "--epochs", "2", "--device", "cpu"]) == 0
    assert "going on after epoch 2" in capsys.readouterr().err
    assert fit.main([*arguments, "--epochs", "3", "--device", "cpu"]) == 2
    assert "another configuration" in capsys.readouterr().err

    # Unless it starts over, of which nothing earlier is left even if it is stopped at once.
    def stop(model):
        raise KeyboardInterrupt

    monkeypatch.setattr(fit, "validation", lambda cache, config: stop)
    assert fit.main([*arguments, "--epochs", "3", "--device", "cpu", "--fresh"]) == 130
    assert "goes on from the last checkpoint" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


def test_validation_weeks_that_are_all_copies(tmp_path, capsys):
    columns = toy_columns(customers=20, seed=9)
    columns["weeks.is_replayed"] = np.arange(1, WEEKS + 1) > TRAIN_LAST
    write_cache(tmp_path / "cache", columns, toy_manifest())
    arguments = ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "run")]
    assert fit.main([*arguments, "--preset", "tiny"]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and "\n" not in error
    assert "no trip of the validation weeks 21-25 lies outside" in error
    assert "train_last_week" in error and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--cache", "nowhere"], "nowhere/manifest.json does not exist"),
        *(
            (
                ["--epochs", each],
                f"--epochs: expected a whole number from 1 to 2147483647, not '{each}'",
            )
            for each in ("0", "1_0", "1.5", "9" * 30)
        ),
        (["--tokens", "0"], "--tokens: expected a whole number from 1"),
        (["--patience", "0"], "--patience: expected a whole number from 1"),
        (["--seed", "-1"], "--seed: expected a whole number from 0"),
        *(
            (["--threads", each], "--threads: expected a whole number from 1 to 4096")
            for each in ("-1", "0", "x")
        ),
        *(
            (["--learning-rate", each], f"--learning-rate: expected a number above 0, not '{each}'")
            for each in ("nan", "0", "-1", "inf", "fast")
        ),
        (["--device", "cuda"], "no CUDA GPU"),
    ],
)
def test_errors_are_one_line(cache, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    common = ["--cache", str(cache.folder), "--out", str(tmp_path), "--preset", "tiny"]
    assert fit.main([*common, *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and error.startswith("error: ") and "\n" not in error
