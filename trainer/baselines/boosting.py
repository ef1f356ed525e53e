"""Gradient boosting on what the rules count: the strongest baseline here."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trainer.baselines.counts import Counts
from trainer.baselines.signals import NAMES, POPULAR, Signals
from trainer.batches.batch import TimelineBatch
from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.tasks import TASKS
from trainer.batches.timelines import Spans, WorldModelDataset
from trainer.cache.customer_sample import sample_customers
from trainer.cache.ragged import ranges
from trainer.cache.reader import TensorCache
from trainer.model.outputs import Predictions

if TYPE_CHECKING:
    from lightgbm import Booster

CUSTOMERS, TRIPS = 1500, 4
"""Customers whose trips are examples, and trips of each."""
FIRST_WEEK = 50 / 80
"""Share of the training weeks after which trips are examples: earlier ones have short histories."""
ROUNDS = 150
PARAMETERS: dict[str, Any] = {
    "objective": "lambdarank",
    "learning_rate": 0.1,
    "num_leaves": 7,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.5,
}
"""Chosen on validation weeks, with `ROUNDS`: docs/experiments.md."""
MARGIN = 1.0
"""Distance of the lowest candidate's score from the highest score of all other products."""


def is_installed() -> bool:
    """Whether LightGBM is there."""
    return importlib.util.find_spec("lightgbm") is not None


def recent_trips(cache: TensorCache, customers: int, trips: int, seed: int) -> WorldModelDataset:
    """Consecutive trips of a sample of customers from the later training weeks, with the history
    before them.

    customers, trips: how many customers, and target trips of each, at most. seed: of the draw of
    these trips.
    """
    everyone = WorldModelDataset(cache, "train")
    chosen = sample_customers(cache, everyone.customers, customers)
    dataset = WorldModelDataset(cache, "train", customers=chosen)
    first, stop = dataset.spans.first, dataset.spans.stop
    week = cache["trips.week"].astype(np.int64)
    early = np.concatenate([[0], (week < FIRST_WEEK * cache.split["train"][1]).cumsum()])
    # Whoever made no trip in these weeks takes part with the last one.
    late = np.minimum(first + early[stop] - early[first], stop - 1)
    draw = np.random.default_rng(seed).random(len(first))
    last = late + (draw * (stop - late)).astype(np.int64)
    spans = Spans(first, last + 1, np.maximum(last + 1 - trips, late))
    return WorldModelDataset.from_spans(cache, "train", dataset.customers, spans)


class Boosting:
    """One LightGBM model (Ke et al., 2017) per task, fitted before its first question is answered.

    The task of a question follows from whether the kind of trip is hidden, and whether all items
    are: completing a basket of one item is the next-basket task.

    Args:
        counts: of the cache whose training weeks it learns from.
        seed: of the trips it learns from, of what they hide and of LightGBM.
        parameters, rounds: of LightGBM.
        customers, trips: as of `recent_trips`.
        popular: as of `Signals`.
    """

    name = "gradient boosting"
    tasks = TASKS

    def __init__(
        self, counts: Counts, *, seed: int = 0, parameters: dict[str, Any] = PARAMETERS,
        rounds: int = ROUNDS, customers: int = CUSTOMERS, trips: int = TRIPS,
        popular: int = POPULAR,
    ) -> None:  # fmt: skip
        self._cache, self._seed = counts.cache, seed
        self._parameters, self._rounds = parameters, rounds
        self._sample, self._popular = (customers, trips), popular
        self._signals = Signals(counts, popular)
        self._models: dict[str, Booster] = {}

    def scores(self, batch: TimelineBatch) -> Predictions:
        """Candidates by the model; below them all others in the order of G-TopFreq x context."""
        question, token = self._signals.candidates(batch)
        features = self._signals.features(batch, question, token)
        task = task_of(batch)[question].numpy(force=True)
        found = np.zeros(len(task))
        for number in np.unique(task):
            chosen = task == number
            model = self._model(TASKS[number])
            found[chosen] = model.predict(features[chosen], raw_score=True, num_threads=1)
        score = torch.from_numpy(found).float().to(question.device)

        logits = self._signals.order(batch)
        best = logits.index_put((question, token), logits.new_tensor(-torch.inf)).amax(1)
        lowest = torch.zeros_like(best).scatter_reduce(
            0, question, score, "amin", include_self=False
        )
        logits += (lowest - MARGIN - best)[:, None]
        return Predictions(logits.index_put_((question, token), score))

    def _model(self, task: str) -> Booster:
        if task not in self._models:
            self._models[task] = self._fit(*self.examples(task))
        return self._models[task]

    def examples(self, task: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Training examples: features (n, len(NAMES)), whether bought (n,), pairs per question.

        Questions none of whose candidates was bought have no order to learn and are left out. The
        example trips are excluded from the lifts of pairs: their outcome would leak into them, and
        rare pairs would look like certain ones.
        """
        dataset = recent_trips(self._cache, *self._sample, self._seed)
        spans = dataset.spans
        rows = ranges(spans.first_target, spans.stop - spans.first_target)
        signals = Signals(Counts(self._cache, without=rows), self._popular)
        parts = []
        for batch in EvaluationDataLoader(dataset, task, chunk=1, seed=self._seed):
            question, token = signals.candidates(batch)
            questions = batch.questions
            bought = torch.zeros(len(questions.trip), self._cache.vocabulary.size, dtype=torch.bool)
            bought[questions.target_question, questions.target] = True
            label = bought[question, token]
            good = torch.zeros(len(questions.trip), dtype=torch.bool).index_put(
                (question[label],), torch.tensor(True)
            ) & (task_of(batch) == TASKS.index(task))
            kept = good[question]
            question, token = question[kept], token[kept]
            parts.append(
                (
                    signals.features(batch, question, token),
                    label[kept].numpy(),
                    torch.bincount(question, minlength=len(good))[good].numpy(),
                )
            )
        features, label, sizes = (np.concatenate(part) for part in zip(*parts, strict=True))
        return features, label, sizes

    def _fit(self, features: np.ndarray, label: np.ndarray, sizes: np.ndarray) -> Booster:
        import lightgbm

        fixed = {"seed": self._seed, "num_threads": 1, "deterministic": True,
                 "force_row_wise": True, "verbose": -1}  # fmt: skip
        data = lightgbm.Dataset(
            features, label, group=sizes, feature_name=list(NAMES), free_raw_data=True
        )
        return lightgbm.train(self._parameters | fixed, data, self._rounds)


def task_of(batch: TimelineBatch) -> torch.Tensor:
    """The index in `TASKS` of each question's task, (Q,) int64."""
    questions = batch.questions
    known = torch.where(
        questions.fully_hidden, TASKS.index("next_known"), TASKS.index("completion")
    )
    return torch.where(questions.hidden, TASKS.index("next_unknown"), known)
