"""The command that measures visits: its table, its file, and what it refuses."""

from __future__ import annotations

import json

import pytest
import torch
from toy import toy_cache

from trainer import evaluate
from trainer.model.checkpoint import save_checkpoint
from trainer.model.world_model import create_world_model
from trainer.visits import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    cache = toy_cache(folder / "cache", customers=20, seed=3)
    for name, without in (("whole", ()), ("less", ("trip-encoder",))):
        torch.manual_seed(0)
        model = create_world_model("tiny", cache, without=without).eval()
        save_checkpoint(folder / name, model, cache, {})
    return folder


def test_table_and_file(folder, tmp_path, capsys):
    out = tmp_path / "visits.json"
    names = [str(folder / name) for name in ("whole", "less")]
    options = ["--cache", str(folder / "cache"), "--split", "validation", "--json", str(out)]
    assert main([*names, *options]) == 0
    printed = capsys.readouterr().out
    content = json.loads(out.read_text())
    assert list(content["nats"]) == ["counts", *names]
    assert list(content["first ahead of others"]) == names[1:]
    assert f"{content['nats']['counts']['day']:.4f}" in printed
    assert main([*names, *options]) == 0  # its own file is replaced
    capsys.readouterr()


def test_only_its_own_file_is_replaced(folder, capsys):
    """A checkpoint's description and an evaluation's results name a cache, too."""
    description = folder / "whole" / "checkpoint.json"
    before = description.read_bytes()
    arguments = [str(folder / "less"), "--cache", str(folder / "cache"), "--json", str(description)]
    for command in (main, evaluate.main):
        assert command(arguments) == 2
        assert "this command did not write it" in capsys.readouterr().err
    assert description.read_bytes() == before


def test_without_a_next_visit(folder, tmp_path, capsys):
    toy_cache(tmp_path / "cache", trips_of=[1] * 60)
    assert main([str(folder / "whole"), "--cache", str(tmp_path / "cache")]) == 2
    error = capsys.readouterr().err.splitlines()
    assert "no customer comes twice in weeks 26-30 (test)" in error[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["whole", "whole"], "the same folder twice"),
        (["whole", "less/../whole"], "the same folder twice"),
        (["whole", "--split", "train"], "weeks that were trained on"),
        (["missing"], "checkpoint.json does not exist"),
        ([], "CHECKPOINT"),
    ],
)
def test_what_is_refused(folder, arguments, message, capsys):
    arguments = [a if a in ("--split", "train") else str(folder / a) for a in arguments]
    assert main([*arguments, "--cache", str(folder / "cache")]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert message in error[-1]
