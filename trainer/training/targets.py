"""The targets of a batch, as the loss compares predictions with them."""

from __future__ import annotations

from trainer.batches.batch import TimelineBatch
from trainer.cache.schema import CONTEXT
from trainer.training.losses import Targets, trip_weights


def targets(batch: TimelineBatch, power: float = 1.0) -> Targets:
    """The targets of a batch's questions.

    power: how far large baskets are weighted down (`trip_weights`): with 1 every trip counts the
    same, with 0 every item.
    """
    questions = batch.questions
    trips = len(questions.trip)
    codes = batch.trips.context[questions.trip]
    return Targets(
        tokens=questions.target,
        rows=questions.target_row,
        hidden=questions.hidden,
        context=dict(zip(CONTEXT, codes.unbind(1), strict=True)),
        basket_ids=questions.trip.repeat(2),
        visits=None if batch.visits is None else batch.visits.came,
        token_weights=trip_weights(questions.target, questions.target_question, trips, power),
    )
