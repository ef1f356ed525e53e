"""Running an evaluation: every trip of a split once per task, every scorer on the same batches."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from trainer.baselines import Baseline, baselines
from trainer.baselines.boosting import Boosting, Choices
from trainer.baselines.scorer import Scorer
from trainer.baselines.tuning import Choice
from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.tasks import TASKS
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.customer_sample import sample_customers
from trainer.cache.reader import TensorCache
from trainer.cache.split import split_weeks
from trainer.commands.errors import InputError
from trainer.evaluation.bootstrap import CustomerBootstrap
from trainer.evaluation.calibration_table import CalibrationTable
from trainer.evaluation.ground_truth import GroundTruth, Record
from trainer.evaluation.grouping import Grouping
from trainer.evaluation.metrics import EvaluationMetrics, TaskMetrics
from trainer.evaluation.per_trip import METRICS, metrics_per_trip
from trainer.evaluation.predictions import prediction_file
from trainer.evaluation.ranking import tie_breaker
from trainer.evaluation.scorers import MODEL, ModelScorer
from trainer.evaluation.store import MEASURED_BY, BaselineStore, Measured, StoredChoices, of_cache
from trainer.evaluation.strata import EvaluatedTrips
from trainer.evaluation.unseen import check_unseen
from trainer.evaluation.worth import TripSums
from trainer.model.checkpoint import Checkpoint, load_checkpoint, model_for
from trainer.model.config import WorldModelConfig
from trainer.model.encoder.backends import Backend, choose
from trainer.model.token_scores import row_blocks
from trainer.model.world_model import WorldModel
from trainer.training.allocator import return_freed_memory

TRIM_BATCHES = 10
"""Batches after which freed memory is returned to the system."""
OF_STRATA = ("recall@10", "ndcg@10")
"""Metrics of the strata."""
Calibrations = tuple[CalibrationTable, CalibrationTable]
"""Of one model in one task: with what was fitted on validation weeks, and without it."""


class Evaluator:
    """Measures models and baselines on the trips of a split.

    Args:
        cache: whose trips are evaluated, and whose training weeks the baselines count.
        split: a name of the cache's split.
        tasks: some of `TASKS`.
        customers: how many customers to sample; all who shop in the split if left out. They are
            those whose codes have the smallest hashes: whoever joins takes at most one place.
        tokens: trips and items of a batch, at most. Changes nothing but speed and memory.
        seed: of the items that completion hides and of the bootstrap.
        scorers: to compare the model with: names of baselines, or any `Scorer`; all baselines if
            left out.
        store: where results of baselines are looked up, and kept if they are not there; none if
            left out.
        progress: show a bar on stderr, and say there what came from the store.

    Attributes:
        trips: what is evaluated, in the order of all values.
        bootstrap: of their customers.

    Raises ValueError for an unknown split, task or baseline, a number out of range or scorers of
    one name, CacheError where no customer shops in the split.
    """

    def __init__(
        self,
        cache: TensorCache,
        split: str,
        *,
        tasks: Sequence[str] = TASKS,
        customers: int | None = None,
        tokens: int = 8192,
        seed: int = 0,
        scorers: Sequence[Scorer | str] | None = None,
        store: BaselineStore | None = None,
        progress: bool = True,
    ) -> None:
        self.dataset = evaluated(cache, split, customers)
        self._choices: Choices = {} if store is None else StoredChoices(store, cache)
        self.scorers = _scorers(cache, scorers, self._choices)
        names = [MODEL, *(scorer.name for scorer in self.scorers)]
        if len(set(names)) < len(names):
            raise InputError(f"scorers: names must differ, also from {MODEL!r}, not {names[1:]}")
        self.tasks, self.tokens, self.seed, self.progress = tuple(tasks), tokens, seed, progress
        self.store = store
        self._tie = tie_breaker(cache)
        self.trips = EvaluatedTrips.of(self.dataset)
        self.bootstrap = CustomerBootstrap(self.trips.customer, seed)
        for task in self.tasks:
            self._loader(task, 1)  # so that what is wrong shows at once

    @property
    def has_fresh_trips(self) -> bool:
        """Whether any trip lies outside replayed weeks: without one there is no headline."""
        return bool(self.trips.fresh.any())

    def run(
        self, model: WorldModel | None = None, record: Record | None = None
    ) -> EvaluationMetrics:
        """Measure the scorers, and a model if there is one, on the model's device.

        record: called with every answer (`trainer.evaluation.predictions` writes them to a file).
        The store has no answers, so every baseline is then measured again. The model is left in the
        mode it was in. Tasks that nobody here answers are left out. Raises ValueError where a score
        is NaN and where nothing is left.
        """
        start = time.perf_counter()
        tasks = {
            task: self._task(task, model, record)
            for task in self.tasks
            if model is not None or any(task in scorer.tasks for scorer in self.scorers)
        }
        if not tasks:
            raise InputError("nothing to measure: no model, and no scorer of these tasks")
        cache, split = self.dataset.cache, self.dataset.split
        return EvaluationMetrics(
            split=split,
            weeks=cache.split[split],
            customers=len(self.dataset),
            seed=self.seed,
            cache_digest=cache.digest,
            seconds=time.perf_counter() - start,
            tasks=tasks,
        )

    def by_customer(self, model: WorldModel, metric: str) -> TripSums:
        """One of `METRICS` of a model on fresh trips, added up by customer, a column per task."""
        measured = [
            self.measure(task, [ModelScorer(model)])[0][MODEL].values for task in self.tasks
        ]
        values = np.stack(measured, axis=1)[..., METRICS.index(metric)]
        return TripSums(*self.bootstrap.sums(values, self.trips.fresh))

    def measure_all(
        self, task: str, model: WorldModel | None = None, record: Record | None = None
    ) -> tuple[dict[str, Measured], dict[str, Calibrations]]:
        """`measure` for a model, if there is one, and all scorers of a task, in this order; what
        the store has is taken from it. record: as of `run`."""
        models = [] if model is None else [ModelScorer(model)]
        scorers = [scorer for scorer in self.scorers if task in scorer.tasks]
        keys = self._keys(task, scorers)
        found = self._stored(task, keys) if record is None else {}
        remaining = [*models, *(each for each in scorers if each.name not in found)]
        calibrations: dict[str, Calibrations] = {}
        if remaining:
            measured, calibrations = self.measure(task, remaining, record)
            self._keep(task, {name: measured[name] for name in keys if name in measured}, keys)
            found |= measured
        return {scorer.name: found[scorer.name] for scorer in (*models, *scorers)}, calibrations

    def measure(
        self, task: str, scorers: Sequence[Scorer], record: Record | None = None
    ) -> tuple[dict[str, Measured], dict[str, Calibrations]]:
        """What is measured of scorers on every trip, by name; and of models among them, which are
        on one device, how well calibrated they are on fresh trips. record: as of `run`."""
        models = [scorer.model for scorer in scorers if isinstance(scorer, ModelScorer)]
        device = next(models[0].parameters()).device if models else torch.device("cpu")
        loader = self._loader(task, (models[0].config if models else WorldModelConfig()).chunk)
        trips, tie = self.trips, self._tie.to(device)
        calibrations = {s.name: _no_calibrations() for s in scorers if isinstance(s, ModelScorer)}
        values = {s.name: np.full((len(trips.row), len(METRICS)), np.nan) for s in scorers}
        hidden, unknown = np.zeros((2, len(trips.row)), dtype=np.int64)
        bar = tqdm(loader, desc=task, unit="batch", file=sys.stderr, disable=not self.progress)
        for number, batch in enumerate(bar):
            if number % TRIM_BATCHES == 0:
                return_freed_memory()
            batch = batch.to(device)
            truth = GroundTruth.of(batch, self.dataset.cache.vocabulary)
            place = np.searchsorted(trips.row, truth.row.cpu().numpy())
            hidden[place] = truth.hidden.cpu().numpy()
            unknown[place] = (truth.hidden - truth.sums(truth.target > 0)).cpu().numpy()
            fresh = torch.from_numpy(trips.fresh[place]).to(device)
            blocks = [(rows, truth.cut(rows)) for rows in row_blocks(len(truth.row), len(tie))]
            for scorer in scorers:
                answer = scorer.scores(batch)
                for rows, part in blocks:
                    scores = part.possible(answer.logits_of(rows))
                    log_p = None
                    if isinstance(scorer, ModelScorer):
                        log_p = scorer.calibration.items(scores, task)
                    context = {name: logits[rows] for name, logits in answer.context.items()}
                    found = metrics_per_trip(scores, context, part, tie, log_p)
                    values[scorer.name][place[rows]] = found.cpu().numpy()
                    if record is not None:
                        record(task, scorer.name, part, scores, tie)
                    if log_p is not None and task != "completion":
                        calibration, raw = calibrations[scorer.name]
                        slopes = scorer.calibration.slopes(task)
                        calibration.add(log_p, slopes, part, fresh[rows])
                        raw.add(scores.log_softmax(1), torch.ones_like(slopes), part, fresh[rows])
        measured = {name: Measured(found, hidden, unknown) for name, found in values.items()}
        return measured, calibrations

    def boosting(self, task: str) -> Choice | None:
        """The setting of gradient boosting, once it is measured; None without boosting."""
        named = any(scorer.name == Boosting.name for scorer in self.scorers)
        return self._choices.get(task) if named else None

    def _loader(self, task: str, chunk: int) -> EvaluationDataLoader:
        return EvaluationDataLoader(
            self.dataset, task, tokens=self.tokens, chunk=chunk, seed=self.seed
        )

    def _task(self, task: str, model: WorldModel | None, record: Record | None) -> TaskMetrics:
        found, calibrations = self.measure_all(task, model, record)
        calibration, raw = calibrations.get(MODEL, _no_calibrations())
        some = next(iter(found.values()))
        values = {name: measured.values for name, measured in found.items()}
        trips = self.trips
        group = Grouping(trips.customer, self.bootstrap, values, some.hidden, some.unknown)
        return TaskMetrics(
            fresh=group(trips.fresh, METRICS),
            replayed=group(~trips.fresh, METRICS),
            strata={
                name: {
                    label: found
                    for number, label in enumerate(labels)
                    if (found := group(trips.fresh & (code == number), OF_STRATA))
                }
                for name, (labels, code) in trips.strata.items()
            },
            calibration=calibration.rows(),
            raw_calibration=raw.rows(),
            boosting=self.boosting(task),
        )

    def _keys(self, task: str, scorers: list[Scorer]) -> dict[str, dict[str, Any]]:
        """What the results of each baseline among the scorers depend on, by name."""
        if self.store is None:
            return {}
        common = of_cache(self.dataset.cache, MEASURED_BY) | {
            "split": self.dataset.split,
            "trips": hashlib.sha256(self.trips.row.astype("<i8").tobytes()).hexdigest(),
            "seed": self.seed,
            "task": task,
        }
        names = [scorer.name for scorer in scorers if isinstance(scorer, Baseline)]
        return {name: common | {"baseline": name} for name in names}

    def _stored(self, task: str, keys: dict[str, dict[str, Any]]) -> dict[str, Measured]:
        """What the store has of these baselines."""
        read = {name: self.store.read(key) for name, key in keys.items()}
        found = {name: measured for name, measured in read.items() if measured is not None}
        if found and self.progress:
            count = f"{len(found)} of {len(keys)} baselines"
            print(f"{task}: {count} reused from {self.store.folder}", file=sys.stderr)
        return found

    def _keep(
        self, task: str, measured: dict[str, Measured], keys: dict[str, dict[str, Any]]
    ) -> None:
        try:
            for name, found in measured.items():
                self.store.write(keys[name], found)
        except OSError as error:
            print(f"{task}: results of baselines cannot be kept: {error}", file=sys.stderr)


def _no_calibrations() -> Calibrations:
    return CalibrationTable(), CalibrationTable()


def evaluated(cache: TensorCache, split: str, customers: int | None) -> WorldModelDataset:
    """The timelines that are evaluated; arguments and errors as of `Evaluator`."""
    dataset = WorldModelDataset(cache, split)
    if customers is None:
        return dataset
    chosen = sample_customers(cache, dataset.customers, customers)
    return WorldModelDataset(cache, split, customers=chosen)


def _scorers(
    cache: TensorCache, chosen: Sequence[Scorer | str] | None, choices: Choices
) -> tuple[Scorer, ...]:
    """Scorers, with baselines in the place of their names; all baselines for None."""
    if chosen is None:
        return baselines(cache, choices=choices)
    names = [scorer for scorer in chosen if isinstance(scorer, str)]
    named = {baseline.name: baseline for baseline in baselines(cache, names, choices)}
    return tuple(named[each] if isinstance(each, str) else each for each in chosen)


def run_evaluation(
    checkpoint: Path | str | None,
    cache: TensorCache,
    split: str = "test",
    predictions: Path | None = None,
    backend: str = "auto",
    **options: Any,
) -> EvaluationMetrics:
    """Measure a checkpoint's model beside the baselines, on a GPU where there is one.

    checkpoint: None measures the baselines alone. predictions: a Parquet file to write every answer
    to (`trainer.evaluation.predictions`). backend: of the model's scan, see
    `trainer.model.encoder.backends.choose`; stderr says which it is. options: as for `Evaluator`,
    where the store is the one beside the cache if left out.

    Raises CheckpointError where the checkpoint is unusable or does not fit the cache, InputError
    where it was trained on weeks of the split, OSError where the file cannot be written, and what
    `Evaluator` and `choose` raise.
    """
    model = digest = None
    if checkpoint is not None:
        chosen, read = choose(backend), load_checkpoint(checkpoint)
        first_week, _ = split_weeks(cache, split)
        model, digest = ready(read, cache, chosen, first_week), read.weights_digest
    options = {"store": BaselineStore.beside(cache)} | options
    evaluator = Evaluator(cache, split, **options)
    if checkpoint is not None and evaluator.progress:
        print(chosen.reason, file=sys.stderr)
    with prediction_file(predictions, cache) if predictions else nullcontext() as record:
        return replace(evaluator.run(model, record), weights_digest=digest)


def ready(
    checkpoint: Checkpoint, cache: TensorCache, backend: Backend, first_week: int | None = None
) -> WorldModel:
    """A checkpoint's model for this cache, on a GPU where there is one.

    first_week: of those that it is measured on. Raises CheckpointError where it does not fit the
    cache, InputError where it was trained on such weeks.
    """
    model = model_for(checkpoint, cache)
    if first_week is not None:
        check_unseen(checkpoint, cache, first_week)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    model.encoder.use(backend)
    return model
