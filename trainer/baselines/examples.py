"""What boosting learns from and is chosen by: questions with candidates, and which were bought.

Shape letters: q questions, n pairs of a question and a candidate.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from trainer.baselines.counts import Counts
from trainer.baselines.signals import Signals
from trainer.batches.batch import TimelineBatch
from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.tasks import TASKS
from trainer.batches.timelines import Spans, WorldModelDataset
from trainer.cache.customer_sample import sample_customers
from trainer.cache.ragged import ranges
from trainer.cache.reader import TensorCache
from trainer.cache.rows import customer_of

CUSTOMERS, TRIPS = 2400, 4
"""Training customers whose trips are examples, and trips of each."""
FIRST_WEEK = 50 / 80
"""Share of the training weeks after which trips are examples: earlier ones have short histories."""
DEPTH = 10
"""Ranks that count."""
QUIET = 5.0
"""Seconds of work after which a bar appears."""


@dataclass(frozen=True)
class Examples:
    """The questions of one task that have an answer among their candidates."""

    features: np.ndarray
    """(n, features) float32, the columns `trainer.baselines.signals.NAMES`."""
    bought: np.ndarray
    """(n,) bool."""
    candidates: np.ndarray
    """(q,) int64 candidates of each question."""
    hidden: np.ndarray
    """(q,) int64 hidden items of each question, candidates or not."""
    customer: np.ndarray
    """(q,) int64 customers rows."""
    asked: int
    """Questions, those without an answer among the candidates included."""

    @classmethod
    def of(cls, signals: Signals, dataset: WorldModelDataset, task: str, *, seed: int) -> Examples:
        """Of the target trips of a dataset outside replayed weeks.

        Completing a basket of one item is another task's question (`task_of`). seed: of what
        completion hides.
        """
        cache, parts, asked = dataset.cache, [], 0
        replayed = torch.from_numpy(cache["weeks.is_replayed"][cache["trips.week"] - 1])
        loader = EvaluationDataLoader(dataset, task, chunk=1, seed=seed)
        bar = tqdm(
            loader, f"{task}: {dataset.split} examples of boosting", unit="batch", delay=QUIET,
            leave=False, file=sys.stderr,
        )  # fmt: skip
        for batch in bar:
            questions = batch.questions
            count = len(questions.trip)
            question, token = signals.candidates(batch)
            bought = torch.zeros(count, cache.vocabulary.size, dtype=torch.bool)
            bought[questions.target_question, questions.target] = True
            bought = bought[question, token]
            own = task_of(batch) == TASKS.index(task)
            own &= ~replayed[batch.trips.row[questions.trip]]
            asked += int(own.sum())
            good = own & (torch.bincount(question[bought], minlength=count) > 0)
            kept = good[question]
            question, token = question[kept], token[kept]
            items = torch.bincount(batch.items.trip, minlength=len(batch.trips))[questions.trip]
            hidden = items - torch.bincount(questions.question, minlength=count) + 1  # one [MASK]
            parts.append(
                (
                    signals.features(batch, question, token),
                    bought[kept].numpy(),
                    torch.bincount(question, minlength=count)[good].numpy(),
                    hidden[good].numpy(),
                    customer_of(cache, batch.trips.row[questions.trip[good]].numpy()),
                )
            )
        return cls(*map(np.concatenate, zip(*parts, strict=True)), asked)

    def of_customers(self, customers: np.ndarray) -> Examples:
        """The questions of some customers, rows in any order."""
        chosen = np.isin(self.customer, customers)
        pairs = np.repeat(chosen, self.candidates)
        columns = (self.candidates, self.hidden, self.customer)
        return Examples(
            self.features[pairs], self.bought[pairs], *(c[chosen] for c in columns), self.asked
        )

    def measured(self, score: np.ndarray) -> tuple[float, float]:
        """R@10 and NDCG@10 of scores (n,), means over the questions that were asked.

        As of `trainer.evaluation.per_trip`, where a question has at least ten candidates: boosting
        ranks all other products behind them.
        """
        question = np.repeat(np.arange(len(self.candidates)), self.candidates)
        order = np.lexsort((-score, question))
        rank = ranges(np.zeros_like(self.candidates), self.candidates)
        hit = self.bought[order] & (rank < DEPTH)
        gain = 1 / np.log2(np.arange(DEPTH) + 2)
        ideal = gain.cumsum()[self.hidden.clip(max=DEPTH) - 1]
        recall = (1 / self.hidden)[question[hit]].sum()
        ndcg = (gain[rank[hit]] / ideal[question[hit]]).sum()
        return float(recall / self.asked), float(ndcg / self.asked)


def training_examples(cache: TensorCache, task: str, *, seed: int) -> Examples:
    """Of `recent_trips`.

    These trips are left out of the lifts of kinds and of pairs: their outcome would leak into them,
    and what is rare would look certain.
    """
    dataset = recent_trips(cache, CUSTOMERS, TRIPS, seed)
    spans = dataset.spans
    rows = ranges(spans.first_target, spans.stop - spans.first_target)
    return Examples.of(Signals(Counts(cache, without=rows)), dataset, task, seed=seed)


def recent_trips(cache: TensorCache, customers: int, trips: int, seed: int) -> WorldModelDataset:
    """Consecutive trips of a sample of customers from the later training weeks, with the history
    before them.

    customers, trips: how many customers, and target trips of each, at most. seed: of the draw of
    these trips.
    """
    dataset = WorldModelDataset(cache, "train", customers=training_customers(cache, customers))
    first, stop = dataset.spans.first, dataset.spans.stop
    week = cache["trips.week"].astype(np.int64)
    early = np.concatenate([[0], (week < FIRST_WEEK * cache.split["train"][1]).cumsum()])
    # Whoever made no trip in these weeks takes part with the last one.
    late = np.minimum(first + early[stop] - early[first], stop - 1)
    draw = np.random.default_rng(seed).random(len(first))
    last = late + (draw * (stop - late)).astype(np.int64)
    spans = Spans(first, last + 1, np.maximum(last + 1 - trips, late))
    return WorldModelDataset.from_spans(cache, "train", dataset.customers, spans)


def training_customers(cache: TensorCache, count: int) -> np.ndarray:
    """The sample of at most so many training customers, rows."""
    return sample_customers(cache, WorldModelDataset(cache, "train").customers, count)


def task_of(batch: TimelineBatch) -> torch.Tensor:
    """The index in `TASKS` of each question's task, (Q,) int64."""
    questions = batch.questions
    known = torch.where(
        questions.fully_hidden, TASKS.index("next_known"), TASKS.index("completion")
    )
    return torch.where(questions.hidden, TASKS.index("next_unknown"), known)
