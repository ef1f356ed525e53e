"""PyTorch side of RetailSim: reads the tensor cache, trains and measures the world model.

The public names below are imported when they are first used: the exporter writes the cache in this
package's format without needing torch.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "WorldModel": "trainer.model",
    "WorldModelConfig": "trainer.model",
    "create_world_model": "trainer.model",
    "WorldModelDataset": "trainer.data.timelines",
    "WorldModelDataLoader": "trainer.data.loader",
    "EvaluationDataLoader": "trainer.data.loader",
    "FocalLoss": "trainer.losses",
    "ContrastiveLoss": "trainer.losses",
    "WorldModelLoss": "trainer.losses",
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
