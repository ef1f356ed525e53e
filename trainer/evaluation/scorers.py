"""Who answers the questions: the model, and the counting rules it has to beat.

A rule is a log-score: log(c_p + a g_p), c_p what the customer bought of product p on earlier trips
(counted in one of the ways of `trainer.data.own`), g_p its share of training items, a = 1; where
the kind of trip is known, plus the log lift of the product given the kind (`trainer.counting`).
The (n + a) below that turns it into a probability is the same for all products and left out: ranks
and softmax do not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from trainer.counting import CountingPrior, kind
from trainer.data.batch import TimelineBatch
from trainer.data.cache import TensorCache
from trainer.data.loader import TASKS
from trainer.data.own import COUNTS
from trainer.data.sales import own_item_shares
from trainer.losses import Predictions
from trainer.model import WorldModel
from trainer.recalibration import Recalibration

SMOOTHING = 1.0
"""a: trips of the average customer that are added to each customer's own. Fixed, not tuned."""

MODEL = "model"
"""Name of the model among the scorers."""


class Scorer(Protocol):
    """Answers questions of some tasks."""

    name: str
    """Row of the tables, unique."""
    tasks: tuple[str, ...]
    """The tasks of `trainer.data.loader.TASKS` it applies to."""

    def scores(self, batch: TimelineBatch) -> Predictions:
        """Logits (Q, N + 3) for a batch's questions, higher is better; context logits if any.

        Log-probabilities but for a constant per question. Tensors are on the batch's device.
        """
        ...


@dataclass(frozen=True)
class ModelScorer:
    """The world model, in evaluation mode for as long as it answers."""

    model: WorldModel
    name: str = MODEL
    tasks: tuple[str, ...] = TASKS

    @property
    def recalibration(self) -> Recalibration:
        """What makes probabilities of the scores; it leaves their order alone."""
        return self.model.recalibration

    def scores(self, batch: TimelineBatch) -> Predictions:
        """The logits of the `[MASK]` of each question, and what the model takes the trip for."""
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                answer = self.model(batch)
        finally:
            self.model.train(was_training)
        # The first rows are the questions' [MASK]; an evaluation asks no others.
        return Predictions(answer.logits[: len(batch.questions.trip)], context=answer.context)


@dataclass(frozen=True)
class CountingRule:
    """One way to count, with or without the kind of trip."""

    name: str
    tasks: tuple[str, ...]
    counting: CountingPrior
    """Holds the shares and log lifts of the training weeks; its learned weights are not used."""
    column: int | None
    """Column of `OwnProducts.counts`; None where the customer's past does not matter."""
    in_context: bool = False
    """Times the lift of each product given the kind of trip."""

    def scores(self, batch: TimelineBatch) -> Predictions:
        """log(c + a g), plus the log lift."""
        questions, own = batch.questions, batch.questions.own
        table = self.counting.to(questions.context.device)
        floor = SMOOTHING * table.share
        scores = floor.log().repeat(len(questions.trip), 1)
        if self.column is not None:
            bought = own.counts[:, self.column] + floor[own.token]
            scores[own.question, own.token] = bought.log()
        if self.in_context:
            scores += table.lift[kind(questions.context)]
        return Predictions(scores)


def counting_rules(cache: TensorCache) -> tuple[CountingRule, ...]:
    """The baselines, made of a cache's own training weeks."""
    counting = CountingPrior(cache, own_item_shares(cache))
    plain, decayed, neighbours = map(COUNTS.index, ("trips 1", "trips 0.95", "neighbours"))
    known = tuple(task for task in TASKS if task != "next_unknown")
    ways = (("G-TopFreq", None), ("P-TopFreq", plain), ("P-TopFreq .95", decayed))
    return (
        *(CountingRule(name, TASKS, counting, column) for name, column in ways),
        *(
            CountingRule(f"{name} x context", known, counting, column, True)
            for name, column in ways
        ),
        CountingRule("own trips x context", ("completion",), counting, neighbours, True),
    )
