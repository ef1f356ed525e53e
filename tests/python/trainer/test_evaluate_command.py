"""The command: what it prints, what it writes, and one line where it cannot."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch
from toy import toy_cache

from trainer import visits
from trainer.cache.json_files import read_json, write_json
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.evaluate import main
from trainer.evaluation.unseen import check_unseen
from trainer.model.checkpoint import load_checkpoint, save_checkpoint
from trainer.model.world_model import create_world_model
from trainer.training import SCHEDULES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cache and a checkpoint of an untrained model."""
    folder = tmp_path_factory.mktemp("command")
    cache = toy_cache(folder / "cache", customers=20)
    torch.manual_seed(0)
    model = create_world_model("tiny", cache)
    save_checkpoint(folder / "best", model, cache, {})
    return folder


def test_a_model_beside_the_rules(folder, tmp_path, capsys):
    out = tmp_path / "figures.json"
    arguments = [str(folder / "best"), "--cache", str(folder / "cache"), "--json", str(out)]
    assert main([*arguments, "--detailed"]) == 0
    printed, bar = capsys.readouterr()
    assert printed.index("mission unknown") < printed.index("mission known")
    lines = printed.splitlines()
    fresh = next(i for i, line in enumerate(lines) if line.startswith("fresh: "))
    replayed = lines.index(
        next(line for line in lines if line.startswith("replayed weeks (copies of earlier trips)"))
    )
    assert fresh < replayed
    assert lines[fresh + 1].split()[:2] == ["R@10", "R@20"]
    assert lines[fresh + 2].split()[0] == "model" and "model - row, NDCG@10" in lines[fresh + 1]
    assert lines[fresh + 3].count("[") == 4  # two metrics and two differences
    for part in ("customer: known", "products: ", "basket: 1 item", "store: ", "ratio as trained",
                 "explore R@10"):  # fmt: skip
        assert part in printed
    assert "next_unknown" in bar  # on stderr

    content = json.loads(out.read_text())
    manifest = json.loads((folder / "cache/manifest.json").read_text())
    assert content["cache_digest"] == manifest["digest"]
    weights = (folder / "best/model.safetensors").read_bytes()
    assert content["weights_digest"] == hashlib.sha256(weights).hexdigest()
    assert content["versions"]["torch"] == torch.__version__
    assert content["hardware"]["cores"] >= 1
    assert content["checkpoint"] == str(folder / "best")
    recall = content["tasks"]["next_unknown"]["fresh"]["scorers"]["model"]["recall@10"]
    assert f"{recall['value']:.3f}"[1:] in lines[fresh + 2]


def test_strata_hold_the_difference_to_the_best_baseline(folder, tmp_path, capsys):
    out = tmp_path / "figures.json"
    arguments = [str(folder / "best"), "--cache", str(folder / "cache"), "--json", str(out)]
    assert main([*arguments, "--detailed", "--tasks", "completion"]) == 0
    lines = capsys.readouterr().out.splitlines()
    task = json.loads(out.read_text())["tasks"]["completion"]
    scorers = task["fresh"]["scorers"]
    for title, metric in (("R@10", "recall@10"), ("NDCG@10", "ndcg@10")):
        best = max(list(scorers)[1:], key=lambda name: scorers[name][metric]["value"])
        start = lines.index(f"fresh, by kind of trip: {title}") + 1
        assert best in lines[start] and lines[start].endswith("model - baseline")
        for name, groups in task["strata"].items():
            for label, group in groups.items():
                start += 1
                minus = group["model_minus"][best][metric]
                cells = [f"{minus[part]:+.3f}".replace("0.", ".") for part in ("value", "low")]
                assert lines[start].startswith(f"{name}: {label} ")
                assert f"{cells[0]} [{cells[1]}, " in lines[start]


def test_every_answer_in_a_file(folder, tmp_path, capsys):
    out = tmp_path / "all.parquet"
    common = ["--cache", str(folder / "cache"), "--tasks", "next_known", "--predictions", str(out)]
    common += ["--json", str(tmp_path / "figures.json")]  # both are replaced by the second command
    assert main([str(folder / "best"), *common]) == 0
    assert "model" in pq.read_table(out)["scorer"].to_pylist()
    assert main(["--baselines-only", *common]) == 0
    assert "model" not in pq.read_table(out)["scorer"].to_pylist()
    capsys.readouterr()


def test_rules_alone_and_a_sample(folder, capsys):
    options = ["--cache", str(folder / "cache"), "--customers", "4", "--tasks", "completion"]
    assert main(["--baselines-only", *options, "--split", "validation"]) == 0
    printed = capsys.readouterr().out
    assert "validation, weeks 21-25, 4 customers" in printed
    assert "own trips x context" in printed
    assert "model" not in printed and "Next basket" not in printed and "by store" not in printed


def test_some_baselines_or_none(folder, capsys):
    common = ["--cache", str(folder / "cache")]
    some = ["--baselines", "TIFU-KNN", "G-TopFreq", "own trips x context"]
    assert main([str(folder / "best"), *common, *some]) == 0
    rows = {line.split("  ")[0] for line in capsys.readouterr().out.splitlines()}
    assert {"model", "TIFU-KNN", "G-TopFreq", "own trips x context"} <= rows
    assert not {"P-TopFreq", "gradient boosting", "co-occurrence"} & rows
    assert main([str(folder / "best"), *common, "--baselines", "none", "--detailed"]) == 0
    printed = capsys.readouterr().out
    assert "model" in printed and "TopFreq" not in printed and "ratio as trained" in printed
    alone = ["--baselines-only", *common, "--baselines", "co-occurrence", "--detailed"]
    assert main(alone) == 0
    printed = capsys.readouterr().out
    assert "Next basket" not in printed and "basket: 1 item" in printed


def test_results_of_baselines_are_kept_where_it_is_said(folder, tmp_path, capsys):
    options = ["--cache", str(folder / "cache"), "--tasks", "next_known", "--baselines"]
    options += ["G-TopFreq", "P-TopFreq", "--baseline-results", str(tmp_path / "kept")]
    assert main(["--baselines-only", *options]) == 0
    printed, error = capsys.readouterr()
    assert len(list((tmp_path / "kept").iterdir())) == 2 and "reused" not in error
    assert main(["--baselines-only", *options]) == 0
    again, error = capsys.readouterr()
    assert f"next_known: 2 of 2 baselines reused from {tmp_path / 'kept'}\n" == error
    assert again.splitlines()[:-1] == printed.splitlines()[:-1]  # but the seconds


@pytest.fixture(scope="module")
def seeds(folder):
    """Checkpoints of two seeds, of the first again, of another preset, and of another cache."""
    cache = TensorCache(folder / "cache")
    other = toy_cache(folder / "other", customers=20, products=41)
    for name, preset, seed, of in (
        ("seed0", "tiny", 0, cache), ("seed1", "tiny", 1, cache), ("again", "tiny", 0, cache),
        ("small", "small", 1, cache), ("elsewhere", "tiny", 1, other),
    ):  # fmt: skip
        torch.manual_seed(seed)
        training = replace(SCHEDULES[preset], seed=seed).to_dict()
        save_checkpoint(folder / name, create_world_model(preset, of), of, {"training": training})
    return [str(folder / "seed0"), str(folder / "seed1")]


def test_several_seeds(folder, seeds, tmp_path, capsys):
    out = tmp_path / "figures.json"
    options = ["--cache", str(folder / "cache"), "--json", str(out), "--detailed", "--baselines"]
    options += ["gradient boosting", "G-TopFreq", "--baseline-results", str(tmp_path / "kept")]
    assert main([*seeds, *options]) == 0
    printed, error = capsys.readouterr()
    assert "reused" not in error
    assert printed.startswith("`tiny`, ") and "mean of seeds 0, 1 (and each)" in printed
    for part in ("| task ", "best rule", "model / boosting", "| basket: 1 item", "seed 1 expects"):
        assert part in printed
    content = json.loads(out.read_text())
    assert content["checkpoints"] == seeds and content["training_seeds"] == [0, 1]
    assert content["weights_digests"] == [
        hashlib.sha256((folder / name / "model.safetensors").read_bytes()).hexdigest()
        for name in ("seed0", "seed1")
    ]
    assert content["versions"]["torch"] == torch.__version__ and content["split"] == "test"
    recall = content["tasks"]["completion"]["fresh"]["metrics"]["recall@10"]
    assert recall["rule"]["baseline"] == "G-TopFreq"
    assert f"| {recall['boosting']['ratio']:.3f} ".replace(" 0.", " .") in printed

    # Baselines are measured once, and figures are replaced, whatever the order of arguments.
    assert main(["--tasks", "completion", *options, "--seed", "0", *seeds]) == 0
    again, error = capsys.readouterr()
    assert "completion: 2 of 2 baselines reused" in error and "next basket" not in again
    assert "seed 0, scan: " in error and "seed 1, scan: " in error
    again = json.loads(out.read_text())
    assert again["tasks"] == {"completion": content["tasks"]["completion"]}


def test_help_says_what_several_checkpoints_give(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "[CHECKPOINT ...]" in printed and "differ in their seed alone" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seed0", "seed0"], "seed0 and seed0 were both trained with seed 0: name one checkpoint"),
        (["seed0", "seed1", "again"], "seed0 and again were both trained with seed 0"),
        (["seed0", "small"], "small was trained with another sizes, model, phases, tokens"),
        (["seed0", "elsewhere"], "elsewhere was trained with another cache than seed0"),
        (["elsewhere", "elsewhere"], "were both trained with seed 1"),
        (["seed0", "best"], "best does not say how it was trained"),
        (["seed0", "nowhere"], "nowhere is no checkpoint"),
        (["seed0", "seed1", "--cache", "other"], "other has another vocabulary than seed0"),
        (["seed0", "seed1", "--baselines-only"], "either a CHECKPOINT or --baselines-only"),
        (["seed0", "seed1", "--predictions", "a.parquet"], "--predictions: with one CHECKPOINT"),
        (["seed0", "seed1", "--oracle", "o.npz"], "--oracle: with one CHECKPOINT only, not with 2"),
    ],
)
def test_several_seeds_that_cannot_be_compared(folder, seeds, monkeypatch, capsys, arguments,
                                               message):  # fmt: skip
    monkeypatch.chdir(folder)
    assert main(arguments) == 2
    printed, error = capsys.readouterr()
    assert printed == "" and error.count("\n") == 1
    assert error.startswith("error: ") and message in error


def test_weeks_that_a_model_was_trained_on_with_another_split_are_refused(folder, tmp_path, capsys):
    manifest = shutil.copytree(folder / "cache", tmp_path / "early") / "manifest.json"
    facts = read_json(manifest)
    facts["split"] = {"train": [1, 10], "validation": [11, 15], "test": [16, 30]}
    write_json(manifest, facts)
    arguments = [str(folder / "best"), "--cache", str(manifest.parent)]
    for command in (main, visits.main):
        assert command(arguments) == 2
        printed, error = capsys.readouterr()
        assert printed == "" and error.count("\n") == 1
        assert "best was trained on weeks up to 2005-12-22, and is asked about those from" in error
    checkpoint, early = load_checkpoint(folder / "best"), TensorCache(manifest.parent)
    with pytest.raises(InputError, match="was trained on weeks up to"):
        check_unseen(checkpoint, early, 20)
    check_unseen(checkpoint, early, 21)
    write_json(manifest, facts | {"reference_vocabulary": "", "split_from": "warehouse"})
    with pytest.raises(InputError, match="was trained on weeks up to"):
        check_unseen(checkpoint, TensorCache(manifest.parent), 20)
    write_json(manifest, facts | {"reference_vocabulary": "digest", "split_from": "warehouse"})
    check_unseen(checkpoint, TensorCache(manifest.parent), 20)  # another chain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "CHECKPOINT or --baselines-only"),
        (["best", "--baselines-only"], "CHECKPOINT or --baselines-only"),
        (["--baselines-only", "--cache", "nowhere"], "nowhere"),
        (["nowhere"], "nowhere"),
        (["--baselines-only", "--split", "tomorrow"], "split: expected one of"),
        (["--baselines-only", "--split", "train"], "weeks that were trained on do not tell how"),
        (["--baselines-only", "--customers", "0"], "--customers: expected a whole number from 1"),
        (["--baselines-only", "--seed", "-1"], "--seed: expected a whole number from 0"),
        (["--baselines-only", "--tokens", "1_0"], "--tokens: expected a whole number from 1"),
        (["--baselines-only", "--json", "nowhere/figures.json"], "nowhere is not a folder"),
        (["--baselines-only", "--json", "cache"], "--json: cache is a folder"),
        (["--baselines-only", "--baselines", "TopFreq"], "known are G-TopFreq, P-TopFreq, GP-"),
        (["best", "--baselines", "none", "TIFU-KNN"], "'none' is unknown; known are G-TopFreq"),
        (["--baselines-only", "--baselines", "none"], "leave nothing to measure"),
        (
            ["--baselines-only", "--baselines", "co-occurrence", "--tasks", "next_known"],
            "nothing to measure",
        ),
        (
            ["--baselines-only", "--predictions", "no/all.parquet"],
            "--predictions: no is not a folder",
        ),
    ],
)
@pytest.mark.parametrize("lightgbm", [True, False])
def test_errors_are_one_line(folder, monkeypatch, capsys, arguments, message, lightgbm):
    monkeypatch.setattr("trainer.baselines.registry.is_installed", lambda: lightgbm)
    monkeypatch.chdir(folder)
    assert main(arguments) == 2
    printed, error = capsys.readouterr()
    assert printed == "" and error.count("\n") == 1
    assert error.startswith("error: ") and message in error
