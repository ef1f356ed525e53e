"""Training, killed at random moments: the same command goes on, to the same weights.

`make test` kills it once. Twenty times, at other moments each time:

    python -m pytest --hypothesis-profile thorough -s tests/python/kills
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from killing import Command, digests
from profiles import repetitions, seed
from toy import toy_cache

from trainer.model.checkpoint import load_checkpoint

FIT = ["-m", "trainer.fit"]
SAVES_AT_EVERY_CHANCE = [
    "-c",
    """
import sys
from dataclasses import replace
from trainer import fit
fit.SCHEDULES["tiny"] = replace(fit.SCHEDULES["tiny"], checkpoint_seconds=0.0)
sys.exit(fit.main())
""",
]
NAMES = {"best", "last", "curves.jsonl", "tensorboard", "run.json"}


def fit_command(start: list[str], cache: Path, run: Path) -> Command:
    """A short training with some 25 batches per epoch."""
    run.parent.mkdir(exist_ok=True)
    options = ["--preset", "tiny", "--epochs", "2", "--tokens", "50", "--threads", "1"]
    paths = ["--cache", str(cache), "--out", str(run)]
    return Command([sys.executable, *start, *options, *paths], run.parent)


def result(run: Path) -> tuple:
    """Weights, optimisers and curves of a run, without what tells how long they took."""
    lines = (run / "curves.jsonl").read_text(encoding="utf-8").splitlines()
    curves = [json.loads(line) for line in lines]
    for row in curves:
        del row["seconds"], row["items_per_s"]
    tensors = {
        f"{name}/{file}": digest
        for name in ("best", "last")
        for file, digest in digests(run / name).items()
        if file.endswith((".safetensors", ".npy"))
    }
    return curves, tensors


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path):
    """Also where it saves within an epoch, as a longer one does."""
    cache, number, start = tmp_path / "cache", repetitions(1), seed()
    toy_cache(cache, customers=30)
    rng, run = random.Random(start), tmp_path / "whole" / "run"
    like = fit_command(FIT, cache, run).succeed()
    expected, kills, runs = result(run), 0, 0
    while kills < number:
        runs += 1
        run = tmp_path / f"runs_{runs}" / "run"
        fit, goes_on = fit_command(rng.choice([FIT, SAVES_AT_EVERY_CHANCE]), cache, run), True
        while goes_on:
            said = fit.kill(rng, like)
            kills += said is not None
            print(f"seed {start}, run {runs}, fit {kills}, {said}")
            for name in ("best", "last"):
                if (run / name).exists():
                    load_checkpoint(run / name).model()
            goes_on = said is not None and kills < number and rng.random() < 0.5
        fit.succeed()
        assert result(run) == expected
        assert {path.name for path in run.iterdir()} <= NAMES
