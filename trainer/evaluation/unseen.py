"""Whether weeks that a model is measured on are later than those that it was trained on."""

from __future__ import annotations

from datetime import timedelta

from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.features.calendar import EPOCH, Calendar
from trainer.model.checkpoint import Checkpoint


def check_unseen(checkpoint: Checkpoint, cache: TensorCache, first_week: int) -> None:
    """Raise InputError where a model was trained on weeks of the cache from this one on, as after a
    build with an earlier split.

    A cache that was exported --like the model's, but has a calendar of its own, is of another
    chain, whose weeks the model has not seen whenever they were.
    """
    facts = cache.manifest
    if facts.get("reference_vocabulary") and facts.get("split_from") == "warehouse":
        return
    trained = checkpoint.vocabulary
    until = Calendar(trained).first_day(trained.split["train"][1] + 1) - 1
    first = Calendar(cache).first_day(first_week)
    if first <= until:
        last_trained, first_asked = (EPOCH + timedelta(day) for day in (until, first))
        raise InputError(
            f"{checkpoint.folder} was trained on weeks up to {last_trained}, and is asked about "
            f"those from {first_asked} on as if they were to come: take later weeks, another "
            "checkpoint, or a cache with the split that this one was trained with"
        )
