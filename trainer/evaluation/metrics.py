"""What an evaluation found: means with intervals, by task, weeks, scorer and metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from trainer.baselines.tuning import Choice
from trainer.commands.errors import InputError
from trainer.evaluation.bootstrap import Estimate
from trainer.evaluation.calibration_table import CalibrationRow
from trainer.evaluation.scorers import ORACLE


@dataclass(frozen=True)
class GroupMetrics:
    """Of one group of trips. Metrics that are defined for none of them are left out."""

    trips: int
    customers: int
    hidden: int
    """Hidden items of all trips."""
    unknown: int
    """Hidden items outside the vocabulary, which every scorer misses."""
    scorers: dict[str, dict[str, Estimate]]
    """scorer -> metric -> mean over trips."""
    model_minus: dict[str, dict[str, Estimate]]
    """scorer -> metric -> mean over trips of the model's value less the scorer's, paired."""
    gap_closed: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    """scorer -> metric -> share of the way from the group's best rule (0) to the oracle (1). Empty
    without an oracle."""

    def best(self, metric: str, but: str | None = None) -> str:
        """The baseline with the highest mean of a metric, one left out; of equals the first."""
        names = (name for name in self.model_minus if name not in (but, ORACLE))
        return max(names, key=lambda name: self.scorers[name][metric].value)


@dataclass(frozen=True)
class TaskMetrics:
    """Of one task. Fresh and replayed weeks are never mixed."""

    fresh: GroupMetrics | None
    """Trips outside replayed weeks: the headline. None without any."""
    replayed: GroupMetrics | None
    """Trips of replayed weeks, most of which copy an earlier one. None without any."""
    strata: dict[str, dict[str, GroupMetrics]] = field(default_factory=dict)
    """Fresh trips only: way to divide -> label -> its trips."""
    calibration: tuple[CalibrationRow, ...] = ()
    """Of the model, next-basket tasks, fresh trips only."""
    raw_calibration: tuple[CalibrationRow, ...] = ()
    """The same without what was fitted on validation weeks (`trainer.model.calibration`)."""
    boosting: Choice | None = None
    """The setting of gradient boosting, if that was measured."""


@dataclass(frozen=True)
class EvaluationMetrics:
    """Everything measured in one run."""

    split: str
    weeks: tuple[int, int]
    """First and last week of the split."""
    customers: int
    seed: int
    cache_digest: str
    seconds: float
    tasks: dict[str, TaskMetrics]
    weights_digest: str | None = None
    """SHA-256 of the checkpoint's file of weights; None where the model came from nowhere else."""

    def value(self, task: str, scorer: str, metric: str) -> float:
        """A headline figure: the mean over fresh trips.

        Raises KeyError for what was not measured, fresh trips included.
        """
        fresh = self.tasks[task].fresh
        if fresh is None:
            raise KeyError(f"{self.split} has no fresh trips")
        return fresh.scorers[scorer][metric].value

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None for what is not a number."""
        return plain(asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EvaluationMetrics:
        """The metrics that `to_dict` made these values of; what else they hold is not read.

        Raises ValueError where something is missing or of another type.
        """
        try:
            first, last = values["weeks"]
            return cls(
                split=str(values["split"]),
                weeks=(int(first), int(last)),
                customers=int(values["customers"]),
                seed=int(values["seed"]),
                cache_digest=str(values["cache_digest"]),
                seconds=_number(values["seconds"]),
                tasks={name: _task(task) for name, task in values["tasks"].items()},
                weights_digest=values["weights_digest"] and str(values["weights_digest"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"no metrics of an evaluation: {error!r}") from None


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
        boosting=Choice.from_dict(task["boosting"]) if task["boosting"] else None,
    )


def _calibration(rows: Sequence[Mapping[str, Any]]) -> tuple[CalibrationRow, ...]:
    return tuple(
        CalibrationRow(
            pairs=int(row["pairs"]),
            expected=_number(row["expected"]),
            observed=int(row["observed"]),
            ratio=_number(row["ratio"]),
        )
        for row in rows
    )


def _group(group: Mapping[str, Any]) -> GroupMetrics:
    sizes = {name: int(group[name]) for name in ("trips", "customers", "hidden", "unknown")}
    return GroupMetrics(
        **sizes,
        scorers=_estimates(group["scorers"]),
        model_minus=_estimates(group["model_minus"]),
        gap_closed=_estimates(group["gap_closed"]),
    )


def _estimates(scorers: Mapping[str, Any]) -> dict[str, dict[str, Estimate]]:
    return {
        scorer: {metric: _estimate(found) for metric, found in metrics.items()}
        for scorer, metrics in scorers.items()
    }


def _estimate(found: Mapping[str, Any]) -> Estimate:
    value, low, high = (_number(found[name]) for name in ("value", "low", "high"))
    return Estimate(value, low, high, int(found["trips"]))


def _number(value: float | None) -> float:
    """JSON has no NaN: null stands for it."""
    return math.nan if value is None else float(value)


def plain(value: Any) -> Any:
    """A value of dictionaries and lists as JSON has it: None for what is not a number."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
