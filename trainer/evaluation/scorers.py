"""Who answers the questions: what all have in common, and the model."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trainer.batches.batch import TimelineBatch
from trainer.batches.tasks import TASKS
from trainer.model.calibration import Calibration
from trainer.model.outputs import Predictions
from trainer.model.world_model import WorldModel

MODEL = "model"
"""Name of the model among the scorers."""


@dataclass(frozen=True)
class ModelScorer:
    """The world model, in evaluation mode for as long as it answers."""

    model: WorldModel
    name: str = MODEL
    tasks: tuple[str, ...] = TASKS

    @property
    def calibration(self) -> Calibration:
        """What makes probabilities of the scores; it leaves their order alone."""
        return self.model.calibration

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
