"""What the model's thread is asked: one kind of request each."""

from __future__ import annotations

from dataclasses import dataclass

from serving.schemas import CompletionIn, ExplainIn, FinishedTripIn, NextBasketIn, NextVisitIn
from trainer.model.checkpoint import Checkpoint
from trainer.model.world_model import WorldModel

BasketQuestion = NextBasketIn | CompletionIn | ExplainIn
Question = BasketQuestion | NextVisitIn


@dataclass(frozen=True)
class Observe:
    """A finished trip."""

    trip: FinishedTripIn


@dataclass(frozen=True)
class Describe:
    """What is known of a customer."""

    customer: str
    trips: int
    """The latest ones."""


@dataclass(frozen=True)
class Forget:
    """Nothing of a customer shall be known."""

    customer: str


@dataclass(frozen=True)
class Prepare:
    """Another model shall take over."""

    checkpoint: Checkpoint
    model: WorldModel


@dataclass(frozen=True)
class Warm:
    """Make a few more states of the model that is to take over; how many are left."""


@dataclass(frozen=True)
class TakeOver:
    """The model that was prepared answers from now on."""
