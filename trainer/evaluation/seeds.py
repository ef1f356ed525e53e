"""Models trained alike but for the seed, beside gradient boosting and the best rule.

A figure of the models is the mean of theirs. Baselines know no training seed: they are the same
beside each of them. The interval of a difference holds both which customers are measured and how
training happened to go (`trainer.evaluation.worth`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainer.baselines.boosting import Boosting
from trainer.baselines.tuning import Choice
from trainer.cache.reader import TensorCache
from trainer.cache.split import split_weeks
from trainer.commands.errors import InputError
from trainer.evaluation.bootstrap import Estimate
from trainer.evaluation.calibration_table import CalibrationRow
from trainer.evaluation.evaluator import OF_STRATA, Calibrations, Evaluator, ready
from trainer.evaluation.metrics import plain
from trainer.evaluation.per_trip import METRICS
from trainer.evaluation.scorers import MODEL, ORACLE, ModelScorer
from trainer.evaluation.store import BaselineStore, Measured
from trainer.evaluation.worth import TripSums, worth
from trainer.model.checkpoint import Checkpoint, load_checkpoint
from trainer.model.encoder.backends import choose
from trainer.model.world_model import WorldModel


@dataclass(frozen=True)
class Lead:
    """How far the models are ahead of a baseline, in one metric of one group of trips."""

    baseline: str
    value: float
    """The baseline's mean over trips."""
    ratio: float
    """Mean of the models / value; NaN where that is 0."""
    difference: Estimate
    """Mean of the models - value."""


@dataclass(frozen=True)
class SeedFigures:
    """One metric of one group of trips."""

    seeds: tuple[float, ...]
    """Mean over trips of each model."""
    model: float
    """Mean of the models."""
    boosting: Lead | None
    """None where gradient boosting was not measured."""
    rule: Lead | None
    """The rule with the highest mean over all fresh trips of the task; None without any."""


@dataclass(frozen=True)
class SeedGroup:
    """One group of trips."""

    trips: int
    customers: int
    metrics: dict[str, SeedFigures]
    """By name, of `OF_STRATA`."""


@dataclass(frozen=True)
class SeedTask:
    """Of one task, fresh trips only."""

    fresh: SeedGroup
    strata: dict[str, dict[str, SeedGroup]]
    """Way to divide -> label -> its trips."""
    calibration: tuple[tuple[CalibrationRow, ...], ...]
    """Of each model, as of `TaskMetrics`."""
    raw_calibration: tuple[tuple[CalibrationRow, ...], ...]
    boosting: Choice | None = None
    """As of `TaskMetrics`."""


@dataclass(frozen=True)
class SeedMetrics:
    """Everything measured of several checkpoints."""

    split: str
    weeks: tuple[int, int]
    """First and last week of the split."""
    customers: int
    seed: int
    """Of hidden items and draws."""
    cache_digest: str
    seconds: float
    preset: str
    training_seeds: tuple[int, ...]
    weights_digests: tuple[str, ...]
    """SHA-256 of each checkpoint's file of weights."""
    tasks: dict[str, SeedTask]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None for what is not a number."""
        return plain(asdict(self))


def run_seeds(
    folders: Sequence[Path | str],
    cache: TensorCache,
    split: str = "test",
    backend: str = "auto",
    **options: Any,
) -> SeedMetrics:
    """Measure checkpoints that differ in nothing but their seeds; arguments and further errors as
    of `run_evaluation`.

    Raises InputError where they differ in more or in less, and where no trip is fresh.
    """
    start = time.perf_counter()
    chosen, trainings = choose(backend), [Training.of(load_checkpoint(each)) for each in folders]
    check_alike(trainings)
    first_week, _ = split_weeks(cache, split)
    evaluator = Evaluator(cache, split, **{"store": BaselineStore.beside(cache)} | options)

    def models() -> Iterator[WorldModel]:
        """One after the other: with many products each takes hundreds of megabytes."""
        for each in trainings:
            model = ready(load_checkpoint(each.folder), cache, chosen, first_week)
            if evaluator.progress:
                print(f"seed {each.seed}, {chosen.reason}", file=sys.stderr)
            yield model

    return SeedMetrics(
        split=split,
        weeks=cache.split[split],
        customers=len(evaluator.dataset),
        seed=evaluator.seed,
        cache_digest=cache.digest,
        preset=trainings[0].facts["model"],
        training_seeds=tuple(each.seed for each in trainings),
        weights_digests=tuple(each.weights_digest for each in trainings),
        tasks=over_seeds(evaluator, models()),
        seconds=time.perf_counter() - start,
    )


@dataclass(frozen=True)
class Training:
    """How a checkpoint was trained."""

    folder: Path
    seed: int
    facts: dict[str, Any]
    """All else that its weights depend on: fields of `TrainingConfig`, sizes and cache."""
    weights_digest: str

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Training:
        """Raises InputError where the checkpoint does not say it."""
        facts = {"cache": checkpoint.cache_digest, "sizes": checkpoint.config}
        try:
            facts |= checkpoint.progress["training"]
            return cls(checkpoint.folder, facts.pop("seed"), facts, checkpoint.weights_digest)
        except (KeyError, TypeError):
            raise InputError(f"{checkpoint.folder} does not say how it was trained") from None


def check_alike(trainings: Sequence[Training]) -> None:
    """Raise InputError unless they differ in their seed, and in nothing else."""
    first, seeds = trainings[0], {}
    for each in trainings:
        names = each.facts | first.facts
        if changed := [name for name in names if each.facts.get(name) != first.facts.get(name)]:
            raise InputError(
                f"{each.folder} was trained with another {', '.join(changed)} than {first.folder}: "
                "name checkpoints that differ in nothing but their seed"
            )
        if each.seed in seeds:
            raise InputError(
                f"{seeds[each.seed]} and {each.folder} were both trained with seed {each.seed}: "
                "name one checkpoint for each seed"
            )
        seeds[each.seed] = each.folder


def over_seeds(evaluator: Evaluator, models: Iterable[WorldModel]) -> dict[str, SeedTask]:
    """Compare models, one per training seed, with the evaluator's scorers, by task.

    models: each is measured before the next one is asked for. Raises InputError where no trip of
    the split is fresh.
    """
    if not evaluator.has_fresh_trips:
        raise InputError(f"{evaluator.dataset.split} has no fresh trips to compare models on")
    of_models: dict[str, list[tuple[Measured, Calibrations]]] = {t: [] for t in evaluator.tasks}
    for model in models:
        for task, of_task in of_models.items():
            measured, calibrations = evaluator.measure(task, [ModelScorer(model)])
            of_task.append((measured[MODEL], calibrations[MODEL]))
    return {task: _task(evaluator, task, of_task) for task, of_task in of_models.items()}


def _task(
    evaluator: Evaluator, task: str, of_models: Sequence[tuple[Measured, Calibrations]]
) -> SeedTask:
    models, calibrations = zip(*of_models, strict=True)
    baselines, _ = evaluator.measure_all(task)
    trips = evaluator.trips
    strata = {
        (name, label): in_stratum
        for name, (labels, code) in trips.strata.items()
        for number, label in enumerate(labels)
        if (in_stratum := trips.fresh & (code == number)).any()
    }
    groups = np.stack([trips.fresh, *strata.values()], axis=1)

    def sums(found: Measured, metric: str) -> TripSums:
        """(customers, groups)"""
        values = np.where(groups, found.values[:, [METRICS.index(metric)]], np.nan)
        return TripSums(*evaluator.bootstrap.sums(values, trips.fresh))

    by_metric = {
        metric: compare(
            [sums(found, metric) for found in models],
            {name: sums(found, metric) for name, found in baselines.items()},
            evaluator.seed,
        )
        for metric in OF_STRATA
    }
    fresh, *others = (
        SeedGroup(
            trips=int(chosen.sum()),
            customers=len(np.unique(trips.customer[chosen])),
            metrics={metric: figures[number] for metric, figures in by_metric.items()},
        )
        for number, chosen in enumerate(groups.T)
    )
    by_name: dict[str, dict[str, SeedGroup]] = {name: {} for name in trips.strata}
    for (name, label), group in zip(strata, others, strict=True):
        by_name[name][label] = group
    return SeedTask(
        fresh=fresh,
        strata=by_name,
        calibration=tuple(fitted.rows() for fitted, _ in calibrations),
        raw_calibration=tuple(raw.rows() for _, raw in calibrations),
        boosting=evaluator.boosting(task),
    )


def compare(
    models: Sequence[TripSums], baselines: Mapping[str, TripSums], seed: int
) -> list[SeedFigures]:
    """Figures of one metric, in G groups of trips of which the first holds all others.

    models: one per training seed, groups as columns. baselines: by name. seed: of the draws.
    """
    of_seeds = np.stack([_means(each) for each in models], axis=1)
    model = of_seeds.mean(1)

    def leads(name: str | None) -> list[Lead | None]:
        if name not in baselines:
            return [None] * len(model)
        baseline = baselines[name]
        *differences, _ = worth(models, [baseline] * len(models), seed)
        value = _means(baseline)
        ratio = np.divide(model, value, out=np.full_like(model, np.nan), where=value > 0)
        columns = zip(value.tolist(), ratio.tolist(), differences, strict=True)
        return [Lead(name, *column) for column in columns]

    rules = [name for name in baselines if name not in (Boosting.name, ORACLE)]
    best = max(rules, key=lambda name: _means(baselines[name])[0], default=None)
    columns = zip(of_seeds.tolist(), model.tolist(), leads(Boosting.name), leads(best), strict=True)
    return [SeedFigures(tuple(seeds), *others) for seeds, *others in columns]


def _means(sums: TripSums) -> np.ndarray:
    """(groups,) means over trips; that of all groups, which overlap, says nothing."""
    return sums.means()[:-1]
