"""Who answers the questions: what all have in common, and the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from trainer.data.batch import TimelineBatch
from trainer.data.loader import TASKS
from trainer.losses import Predictions
from trainer.model import WorldModel
from trainer.recalibration import Recalibration

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
