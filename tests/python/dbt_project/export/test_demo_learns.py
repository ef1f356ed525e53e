"""From raw files to a trained model: `make demo` shows a model that is better than counting."""

from __future__ import annotations

import torch
from demo import demo_arguments

from dbt_project import prepare_tensor_cache
from trainer import fit
from trainer.baselines import counting_rules
from trainer.baselines.counts import Counts
from trainer.cache.reader import TensorCache
from trainer.evaluation import Evaluator
from trainer.model.checkpoint import load_model
from trainer.report.verdict import BEST_RULE, BETTER, both, comparisons


def test_the_demo_s_model_beats_every_counting_rule(demo_warehouse, tmp_path):
    """On test weeks, by the report's verdict in both metrics, on two of the three tasks at least:
    the demo's chain, preset and seed.
    """
    torch.set_num_threads(1)
    folder, out = tmp_path / "cache", tmp_path / "run"
    prepare_tensor_cache(demo_warehouse.path, folder)
    places = ["--cache", str(folder), "--out", str(out), "--device", "cpu"]
    assert fit.main([*demo_arguments("trainer.fit"), *places]) == 0
    cache = TensorCache(folder)
    evaluator = Evaluator(cache, "test", scorers=counting_rules(Counts(cache)), progress=False)
    metrics = evaluator.run(load_model(out / "best", cache))
    verdicts = {
        name: both(comparisons(task.fresh)[BEST_RULE]) for name, task in metrics.tasks.items()
    }
    assert list(verdicts.values()).count(BETTER) >= 2, verdicts
