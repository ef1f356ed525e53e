"""A rule's score: log(c + a g), and the logarithms of what it is multiplied by.

c is the evidence for a product, counted in trips; g the share of each product among training items;
a = 1 the trips of the average customer that are added. Dividing by n + a would make a probability
of it; that is left out, as it is the same for all products and changes neither ranks nor softmax.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from trainer.batches.batch import TimelineBatch
from trainer.batches.tasks import TASKS
from trainer.model.outputs import Predictions

OfBatch = Callable[[TimelineBatch], Tensor]
"""Values for each question and token of a batch, (Q, N + 3) float32."""


@dataclass(frozen=True)
class Rule:
    """A count, times any number of factors."""

    name: str
    count: OfBatch | None
    """c; None for 0: the customer's past does not matter."""
    floor: Tensor
    """a g, (N + 3,) float32, positive."""
    factors: tuple[OfBatch, ...] = ()
    """Logarithms of factors."""
    tasks: tuple[str, ...] = TASKS

    def scores(self, batch: TimelineBatch) -> Predictions:
        """log(c + a g) plus the log factors."""
        floor = self.floor.to(batch.questions.trip.device)
        if self.count is None:
            scores = floor.log().repeat(len(batch.questions.trip), 1)
        else:
            scores = (self.count(batch) + floor).log_()
        for factor in self.factors:
            scores += factor(batch)
        return Predictions(scores)
