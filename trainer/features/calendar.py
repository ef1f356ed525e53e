"""Days of the chain's calendar."""

from __future__ import annotations

import numpy as np

from trainer.cache.reader import TensorCache


def training_days(cache: TensorCache) -> range:
    """Rows of `days` in the training weeks; a day's index is its row less the first of them."""
    first, last = cache.split["train"]
    week = cache["days.week"]
    rows = np.flatnonzero((week >= first) & (week <= last))
    return range(int(rows[0]), int(rows[-1]) + 1)
