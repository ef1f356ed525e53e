"""The targets of a batch, as the loss compares predictions with them."""

from __future__ import annotations

from torch import Tensor

from trainer.batches.batch import TimelineBatch
from trainer.cache.schema import CONTEXT
from trainer.cache.vocabulary import PAD
from trainer.training.losses import Targets


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


def trip_weights(targets: Tensor, trip_of_item: Tensor, trips: int, power: float = 1.0) -> Tensor:
    """Weights (T,) float32 that keep large baskets from deciding the focal loss.

    A target weighs n^-power, n the targets of its trip: with power 0 every item counts the same,
    with 1 every trip, as in the metrics. targets (T,), 0 = `[PAD]`, which weighs 0; trip_of_item
    (T,) in 0..trips-1.
    """
    is_target = (targets != PAD).float()
    targets_of_trip = is_target.new_zeros(trips).index_add(0, trip_of_item.long(), is_target)
    return is_target * targets_of_trip.clamp_min(1)[trip_of_item.long()] ** -power
