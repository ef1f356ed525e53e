"""The figures of an evaluation, read from the file that it wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from trainer.batches.tasks import TASKS
from trainer.cache.reader import TensorCache
from trainer.evaluation import EvaluationMetrics
from trainer.evaluation.bootstrap import Estimate
from trainer.evaluation.calibration_table import CalibrationRow
from trainer.evaluation.metrics import GroupMetrics, TaskMetrics
from trainer.evaluation.scorers import MODEL
from trainer.report.run import Run
from trainer.training.trainer import BEST


def read_evaluation(
    path: Path, run: Run, cache: TensorCache, split: str
) -> tuple[EvaluationMetrics, dict[str, Any]]:
    """The figures that `trainer.evaluate --json` wrote, and its checkpoint, versions and hardware.

    Raises ValueError if the file is not of this kind, if it is about other weights than the run's
    best, another cache or another split, or if it does not compare a model with baselines; OSError
    if it cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        metrics = _metrics(content)
        circumstances = {name: dict(content.get(name) or {}) for name in ("versions", "hardware")}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not what trainer.evaluate --json writes: {type(error).__name__} {error}"
        ) from None
    if metrics.cache_digest != cache.digest:
        raise ValueError(
            f"{path} was measured on another cache ({metrics.cache_digest[:12]}) than "
            f"{cache.folder} ({cache.digest[:12]})"
        )
    if metrics.split != split:
        raise ValueError(f"{path} holds the split {metrics.split!r}, not {split!r}")
    for task in metrics.tasks.values():
        for group in (task.fresh, task.replayed):
            if group and (MODEL not in group.scorers or not group.model_minus):
                raise ValueError(f"{path} does not compare a model with baselines")
    if metrics.weights_digest != run.weights_digest:
        raise ValueError(
            f"{path} was measured with other weights ({str(metrics.weights_digest)[:12]}) than "
            f"those of {run.folder} ({run.weights_digest[:12]}): evaluate {run.folder / BEST} again"
        )
    return metrics, circumstances | {"checkpoint": content.get("checkpoint")}


def _metrics(content: Mapping[str, Any]) -> EvaluationMetrics:
    unknown = set(content["tasks"]) - set(TASKS)
    if unknown or not content["tasks"]:
        raise ValueError(f"tasks {sorted(unknown)}")
    first, last = content["weeks"]
    return EvaluationMetrics(
        split=str(content["split"]),
        weeks=(int(first), int(last)),
        customers=int(content["customers"]),
        seed=int(content["seed"]),
        cache_digest=str(content["cache_digest"]),
        seconds=_number(content["seconds"]),
        tasks={name: _task(task) for name, task in content["tasks"].items()},
        weights_digest=content["weights_digest"] and str(content["weights_digest"]),
    )


def _task(task: Mapping[str, Any]) -> TaskMetrics:
    return TaskMetrics(
        fresh=_group(task["fresh"]) if task["fresh"] else None,
        replayed=_group(task["replayed"]) if task["replayed"] else None,
        strata={
            name: {label: _group(group) for label, group in groups.items()}
            for name, groups in task["strata"].items()
        },
        calibration=_calibration(task["calibration"]),
        raw_calibration=_calibration(task["raw_calibration"]),
    )


def _calibration(rows: Sequence[Mapping[str, Any]]) -> tuple[CalibrationRow, ...]:
    return tuple(
        CalibrationRow(
            int(row["pairs"]), _number(row["expected"]), int(row["observed"]),
            _number(row["ratio"]),
        )
        for row in rows
    )  # fmt: skip


def _group(group: Mapping[str, Any]) -> GroupMetrics:
    sizes = {name: int(group[name]) for name in ("trips", "customers", "hidden", "unknown")}
    return GroupMetrics(
        **sizes,
        scorers=_estimates(group["scorers"]),
        model_minus=_estimates(group["model_minus"]),
    )


def _estimates(scorers: Mapping[str, Any]) -> dict[str, dict[str, Estimate]]:
    return {
        scorer: {metric: _estimate(found) for metric, found in metrics.items()}
        for scorer, metrics in scorers.items()
    }


def _estimate(found: Mapping[str, Any]) -> Estimate:
    values = {field.name: _number(found[field.name]) for field in fields(Estimate)}
    return Estimate(**values | {"trips": int(found["trips"])})


def _number(value: float | None) -> float:
    """JSON has no NaN: null stands for it."""
    return math.nan if value is None else float(value)
