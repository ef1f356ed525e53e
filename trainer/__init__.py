"""PyTorch side of RetailSim: reads the tensor cache, trains and measures the world model.

The public names below are imported when they are first used: the exporter writes the cache in this
package's format without needing torch.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "WorldModel": "trainer.model.world_model",
    "WorldModelConfig": "trainer.model.config",
    "create_world_model": "trainer.model.world_model",
    "WorldModelDataset": "trainer.batches.timelines",
    "WorldModelDataLoader": "trainer.batches.loaders",
    "EvaluationDataLoader": "trainer.batches.loaders",
    "FocalLoss": "trainer.training.loss_parts",
    "ContrastiveLoss": "trainer.training.loss_parts",
    "WorldModelLoss": "trainer.training.losses",
    "TrainingConfig": "trainer.training",
    "Trainer": "trainer.training",
    "Evaluator": "trainer.evaluation",
    "EvaluationMetrics": "trainer.evaluation",
    "run_evaluation": "trainer.evaluation",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
