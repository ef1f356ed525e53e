"""What the model has to beat: counting rules and gradient boosting on what they count."""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from trainer.baselines.boosting import Boosting, is_installed
from trainer.baselines.counts import DAYS, RATE, UP_CF, Counts
from trainer.baselines.rule import OfBatch, Rule
from trainer.baselines.scorer import Scorer
from trainer.batches.tasks import TASKS
from trainer.cache.reader import TensorCache

SMOOTHING = 1.0
"""a: trips of the average customer that are added to each customer's own. Fixed, not tuned."""
KNOWN = tuple(task for task in TASKS if task != "next_unknown")
"""Tasks that tell the kind of trip."""


def baselines(cache: TensorCache) -> tuple[Scorer, ...]:
    """All of them, from the plainest on, of a cache's training weeks.

    Without LightGBM, boosting is left out and a line on stderr says so.
    """
    counts = Counts(cache)
    rules = counting_rules(counts)
    if not is_installed():
        print("LightGBM is not installed: gradient boosting is left out", file=sys.stderr)
        return rules
    return (*rules, Boosting(counts))


def counting_rules(counts: Counts, smoothing: float = SMOOTHING) -> tuple[Rule, ...]:
    """The rules; smoothing: a of `Rule`."""
    popular = smoothing * counts.share
    alike = torch.full_like(popular, smoothing / counts.products)
    recent = f"P-TopFreq {RATE}".replace("0.", ".")
    ways: tuple[tuple[str, OfBatch | None, Tensor], ...] = (
        ("G-TopFreq", None, popular),
        ("P-TopFreq", counts.plain, alike),
        ("GP-TopFreq", counts.plain, popular),
        (recent, counts.by_trips, popular),
        (f"P-TopFreq {DAYS} days", counts.by_days, popular),
        (f"UP-CF@{UP_CF['last']}", counts.up_cf, popular),
        ("TIFU-KNN", counts.tifu_knn, popular),
    )
    both, completion = (counts.context, counts.together), ("completion",)
    return (
        *(Rule(name, count, floor) for name, count, floor in ways),
        *(
            Rule(f"{name} x context", count, floor, (counts.context,), KNOWN)
            for name, count, floor in ways
        ),
        Rule("co-occurrence", None, popular, (counts.together,), completion),
        *(
            Rule(f"{name} x context x co-occurrence", count, popular, both, completion)
            for name, count in (("GP-TopFreq", counts.plain), (recent, counts.by_trips))
        ),
        Rule("own trips x context", counts.own_trips, popular, (counts.context,), completion),
    )
