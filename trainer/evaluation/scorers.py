"""The model as a scorer, and the names of what is no baseline."""

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
ORACLE = "oracle"
"""Name of the one who knows the true probabilities (`trainer.evaluation.oracle`): it is compared
with, and never the best of anything."""


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
        """The logits of the `[MASK]` of each question, as `TokenScores`, and those of the trip
        context."""
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                answer = self.model(batch, dense=False)
        finally:
            self.model.train(was_training)
        # Rows are those of the questions' [MASK]: nothing else has targets here.
        return Predictions(answer.logits, context=answer.context)
