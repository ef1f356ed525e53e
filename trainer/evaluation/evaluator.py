"""Running an evaluation: every trip of a split once per task, every scorer on the same batches."""

from __future__ import annotations

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

from trainer.baselines import baselines
from trainer.baselines.scorer import Scorer
from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.tasks import TASKS
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.customer_sample import sample_customers
from trainer.cache.reader import TensorCache
from trainer.evaluation.bootstrap import CustomerBootstrap
from trainer.evaluation.calibration_table import CalibrationTable
from trainer.evaluation.ground_truth import GroundTruth, Record
from trainer.evaluation.grouping import Grouping
from trainer.evaluation.metrics import EvaluationMetrics, TaskMetrics
from trainer.evaluation.per_trip import METRICS, metrics_per_trip
from trainer.evaluation.predictions import prediction_file
from trainer.evaluation.ranking import tie_breaker
from trainer.evaluation.scorers import MODEL, ModelScorer
from trainer.evaluation.strata import EvaluatedTrips
from trainer.model.checkpoint import load_checkpoint, model_for
from trainer.model.config import WorldModelConfig
from trainer.model.encoder.backends import choose
from trainer.model.world_model import WorldModel

OF_STRATA = ("recall@10", "ndcg@10")
"""Metrics of the strata."""


class Evaluator:
    """Measures models and baselines on the trips of a split.

    Args:
        cache: whose trips are asked about, and whose training weeks the baselines count.
        split: a name of the cache's split.
        tasks: some of `TASKS`.
        customers: how many customers to sample; all who shop in the split if left out. They are
            those whose codes have the smallest hashes: whoever joins takes at most one place.
        tokens: trips and items of a batch, at most. Changes nothing but speed and memory.
        seed: of the items that completion hides and of the bootstrap.
        scorers: to compare the model with; the baselines if left out.
        progress: show a bar on stderr.

    Raises ValueError for an unknown split or task, a number out of range or scorers of one name,
    CacheError where no customer shops in the split.
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
        scorers: Sequence[Scorer] | None = None,
        progress: bool = True,
    ) -> None:
        self.dataset = WorldModelDataset(cache, split)
        if customers is not None:
            chosen = sample_customers(cache, self.dataset.customers, customers)
            self.dataset = WorldModelDataset(cache, split, customers=chosen)
        self.scorers = baselines(cache) if scorers is None else tuple(scorers)
        names = [MODEL, *(scorer.name for scorer in self.scorers)]
        if len(set(names)) < len(names):
            raise ValueError(f"scorers: names must differ, also from {MODEL!r}, not {names[1:]}")
        self.tasks, self.tokens, self.seed, self.progress = tuple(tasks), tokens, seed, progress
        self._tie = tie_breaker(cache)
        self._trips = EvaluatedTrips.of(self.dataset)
        self._bootstrap = CustomerBootstrap(self._trips.customer, seed)
        for task in self.tasks:
            self._loader(task, 1)  # so that what is wrong shows at once

    @property
    def has_fresh_trips(self) -> bool:
        """Whether any trip lies outside replayed weeks: without one there is no headline."""
        return bool(self._trips.fresh.any())

    def run(
        self, model: WorldModel | None = None, record: Record | None = None
    ) -> EvaluationMetrics:
        """Measure the scorers, and a model if there is one, on the model's device.

        record: is told of every answer (`trainer.evaluation.predictions` writes them to a file).
        The model is left in the mode it was in. Raises ValueError where a score is NaN.
        """
        start = time.perf_counter()
        scorers, config, device = self.scorers, WorldModelConfig(), torch.device("cpu")
        if model is not None:
            scorers, config = (ModelScorer(model), *scorers), model.config
            device = next(model.parameters()).device
        cache, split = self.dataset.cache, self.dataset.split
        tasks = {
            task: self._task(
                self._loader(task, config.chunk), [s for s in scorers if task in s.tasks], device,
                record,
            )
            for task in self.tasks
        }  # fmt: skip
        return EvaluationMetrics(
            split=split,
            weeks=cache.split[split],
            customers=len(self.dataset),
            seed=self.seed,
            cache_digest=cache.digest,
            seconds=time.perf_counter() - start,
            tasks=tasks,
        )

    def _loader(self, task: str, chunk: int) -> EvaluationDataLoader:
        return EvaluationDataLoader(
            self.dataset, task, tokens=self.tokens, chunk=chunk, seed=self.seed
        )

    def _task(
        self, loader: EvaluationDataLoader, scorers: list[Scorer], device: torch.device,
        record: Record | None,
    ) -> TaskMetrics:  # fmt: skip
        trips, tie = self._trips, self._tie.to(device)
        values = {s.name: np.full((len(trips.row), len(METRICS)), np.nan) for s in scorers}
        hidden, unknown = np.zeros((2, len(trips.row)), dtype=np.int64)
        calibration, raw = CalibrationTable(), CalibrationTable()
        bar = tqdm(
            loader, desc=loader.task, unit="batch", file=sys.stderr, disable=not self.progress
        )
        for batch in bar:
            batch = batch.to(device)
            asked = GroundTruth.of(batch, self.dataset.cache.products)
            place = np.searchsorted(trips.row, asked.row.cpu().numpy())
            hidden[place] = asked.hidden.cpu().numpy()
            unknown[place] = (asked.hidden - asked.sums(asked.target > 0)).cpu().numpy()
            fresh = torch.from_numpy(trips.fresh[place]).to(device)
            for scorer in scorers:
                answer = scorer.scores(batch)
                scores = asked.possible(answer.logits)
                log_p = None
                if isinstance(scorer, ModelScorer):
                    log_p = scorer.calibration.items(scores, loader.task)
                found = metrics_per_trip(scores, answer.context, asked, tie, log_p)
                values[scorer.name][place] = found.cpu().numpy()
                if record is not None:
                    record(loader.task, scorer.name, batch, asked, scores, tie)
                if scorer.name == MODEL and loader.task != "completion":
                    slopes = scorer.calibration.slopes(loader.task)
                    calibration.add(log_p, slopes, asked, fresh)
                    raw.add(scores.log_softmax(1), torch.ones_like(slopes), asked, fresh)
        group = Grouping(trips.customer, self._bootstrap, values, hidden, unknown)
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
        )


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
    `trainer.model.encoder.backends.choose`; stderr says which it is. options: as for `Evaluator`.

    Raises CheckpointError where the checkpoint is unusable or does not fit the cache, OSError where
    the file cannot be written, and what `Evaluator` and `choose` raise.
    """
    model = digest = None
    if checkpoint is not None:
        chosen, read = choose(backend), load_checkpoint(checkpoint)
        model, digest = model_for(read, cache), read.weights_digest
        model.to("cuda" if torch.cuda.is_available() else "cpu")
        model.encoder.use(chosen)
    evaluator = Evaluator(cache, split, **options)
    if checkpoint is not None and evaluator.progress:
        print(chosen.reason, file=sys.stderr)
    with prediction_file(predictions, cache) if predictions else nullcontext() as record:
        return replace(evaluator.run(model, record), weights_digest=digest)
