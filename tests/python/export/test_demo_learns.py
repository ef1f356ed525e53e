"""From raw files to a trained model: what the demo does, and that the model learnt something."""

from __future__ import annotations

import torch

from trainer import fit
from trainer.evaluation import Evaluator
from trainer.model.checkpoint import load_model


def test_the_demo_s_model_beats_the_frequencies(default_cache, tmp_path):
    """On validation, with the demo's own preset and seed, against both rules on every task."""
    torch.set_num_threads(1)
    out = tmp_path / "run"
    command = ["--preset", "tiny", "--cache", str(default_cache.folder), "--out", str(out)]
    assert fit.main([*command, "--device", "cpu"]) == 0
    metrics = Evaluator(default_cache, "validation", progress=False).run(
        load_model(out / "best", default_cache)
    )
    for task in metrics.tasks:
        for rule in ("G-TopFreq", "P-TopFreq"):
            lead = metrics.tasks[task].fresh.model_minus[rule]
            assert lead["recall@10"].value > 0 and lead["ndcg@10"].value > 0, (task, rule)
