"""The interface of everything that answers the questions of an evaluation."""

from __future__ import annotations

from typing import Protocol

from trainer.batches.batch import TimelineBatch
from trainer.model.outputs import Predictions


class Scorer(Protocol):
    """Answers questions of some tasks."""

    name: str
    """Row of the tables, unique."""
    tasks: tuple[str, ...]
    """The tasks of `trainer.batches.tasks.TASKS` it applies to."""

    def scores(self, batch: TimelineBatch) -> Predictions:
        """Logits for a batch's questions, higher is better; context logits if any.

        Logits are log-probabilities but for a constant per question, (Q, N + 3), or as
        `TokenScores`. A batch of an evaluation has few enough questions for several matrices of
        that shape (`EvaluationDataLoader`). Tensors are on the batch's device.
        """
        ...
