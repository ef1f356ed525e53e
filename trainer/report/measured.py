"""The figures of an evaluation, read from the file that it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.batches.tasks import TASKS
from trainer.cache.json_files import is_intact, read_json
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.evaluation import EvaluationMetrics
from trainer.evaluation.scorers import MODEL
from trainer.report.run import Run
from trainer.training.folder import BEST


def read_evaluation(
    path: Path, run: Run, cache: TensorCache, split: str
) -> tuple[EvaluationMetrics, dict[str, Any]]:
    """The figures that `trainer.evaluate --json` wrote, and its checkpoint, versions and hardware.

    Raises ValueError if the file is not of this kind, if it is about other weights than the run's
    best, another cache or another split, or if it does not compare a model with baselines; OSError
    if it cannot be read.
    """
    try:
        content = read_json(path)
    except ValueError as error:
        raise InputError(f"{error}, it is not what trainer.evaluate --json writes") from None
    try:
        metrics = EvaluationMetrics.from_dict(content)
        if not metrics.tasks or not set(metrics.tasks) <= set(TASKS):
            raise ValueError(f"tasks {sorted(metrics.tasks)}")
        circumstances = {name: dict(content.get(name) or {}) for name in ("versions", "hardware")}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not what trainer.evaluate --json writes: {type(error).__name__} {error}"
        ) from None
    if not is_intact(content):
        raise InputError(f"{path} was changed after trainer.evaluate --json wrote it")
    if metrics.cache_digest != cache.digest:
        raise InputError(
            f"{path} was measured on another cache ({metrics.cache_digest[:12]}) than "
            f"{cache.folder} ({cache.digest[:12]})"
        )
    if metrics.split != split:
        raise InputError(f"{path} holds the split {metrics.split!r}, not {split!r}")
    for task in metrics.tasks.values():
        for group in (task.fresh, task.replayed):
            if group and (MODEL not in group.scorers or not group.model_minus):
                raise InputError(f"{path} does not compare a model with baselines")
    if metrics.weights_digest != run.weights_digest:
        raise InputError(
            f"{path} was measured with other weights ({str(metrics.weights_digest)[:12]}) than "
            f"those of {run.folder} ({run.weights_digest[:12]}): evaluate {run.folder / BEST} again"
        )
    return metrics, circumstances | {"checkpoint": content.get("checkpoint")}
