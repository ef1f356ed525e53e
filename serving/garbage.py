"""When Python looks for garbage. It stops every thread: the slowest answers came of it."""

from __future__ import annotations

import gc

THRESHOLDS = 20_000, 50, 1_000
"""Objects after which the youngest are looked at, and how much more seldom older ones are: what
requests leave in cycles is little."""


def collect_seldom() -> None:
    """Once, now; what is in memory after that is not looked at again before the next call."""
    gc.set_threshold(*THRESHOLDS)
    gc.unfreeze()
    gc.collect()
    gc.freeze()
