"""The weeks of a cache that are for training, validation and test."""

from __future__ import annotations

from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError

SPLITS = ("train", "validation", "test")
"""Splits that the vars of dbt_project.yml make of the weeks, where there are weeks enough."""
MOVE_SPLIT = (
    "move the vars train_last_week and validation_last_week of dbt_project.yml, then dbt build and "
    "export again"
)
"""What to do where the weeks of a split hold nothing."""


def split_weeks(cache: TensorCache, split: str) -> tuple[int, int]:
    """The first and the last week of one of SPLITS. Raises InputError for another name, and where a
    history is too short to have any."""
    if split in cache.split:
        return cache.split[split]
    if split not in SPLITS:
        raise InputError(f"split: expected one of {', '.join(cache.split)}, not {split!r}")
    parts = ", ".join(f"{first}-{last} {name}" for name, (first, last) in cache.split.items())
    raise InputError(f"{cache.folder}: no week is a {split} week (weeks {parts}): {MOVE_SPLIT}")
