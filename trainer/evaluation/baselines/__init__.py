"""What the model has to beat: counting rules, all made of a cache's training weeks.

Constants were chosen on validation weeks: docs/experiments.md holds the grids.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.counting import CountingPrior, kind
from trainer.data.batch import TimelineBatch
from trainer.data.cache import TensorCache
from trainer.data.loader import TASKS
from trainer.data.own import RATES
from trainer.evaluation.baselines.cooccurrence import Cooccurrence
from trainer.evaluation.baselines.frequency import Weigh, by_days, by_trips, equally
from trainer.evaluation.baselines.history import Once, Purchases
from trainer.evaluation.baselines.neighbours import tifu_knn, up_cf
from trainer.evaluation.baselines.rule import OfBatch, Rule
from trainer.evaluation.scorers import Scorer

SMOOTHING = 1.0
"""a: trips of the average customer that are added to each customer's own. Fixed, not tuned."""
RATE = 0.95
"""Weight of a trip per trip after it."""
DAYS = 120
"""Days after which a trip weighs 1/e."""
UP_CF = {"last": 25, "asymmetry": 0.5, "locality": 30}
TIFU_KNN = {"groups": 10, "within": 0.95, "between": 0.6, "neighbours": 300, "own": 0.7}
COOCCURRENCE = {"strength": 0.25, "smoothing": 20}

NEIGHBOURS = len(RATES)
"""Column of `OwnProducts.counts`."""
KNOWN = tuple(task for task in TASKS if task != "next_unknown")
"""Tasks that tell the kind of trip."""


def baselines(cache: TensorCache) -> tuple[Scorer, ...]:
    """All of them, from the plainest on. `Rule` scores of the same batch share what they count."""
    return counting_rules(cache)


def counting_rules(cache: TensorCache, smoothing: float = SMOOTHING) -> tuple[Rule, ...]:
    """The rules without fitted parts; smoothing: a of `Rule`."""
    counting = CountingPrior(cache)
    popular = smoothing * counting.share
    alike = torch.full_like(popular, smoothing / cache.products)
    purchases = Once(lambda batch: Purchases.before(batch, cache.products))
    in_context = Once(
        lambda batch: counting.to(batch.questions.context.device).lift[
            kind(batch.questions.context)
        ]
    )

    def own(weigh: Weigh) -> OfBatch:
        return Once(lambda batch: _weighed(purchases(batch), weigh, cache.products + 3))

    plain, decayed = own(equally), own(by_trips(RATE))
    ways: tuple[tuple[str, OfBatch | None, Tensor], ...] = (
        ("G-TopFreq", None, popular),
        ("P-TopFreq", plain, alike),
        ("GP-TopFreq", plain, popular),
        ("P-TopFreq .95", decayed, popular),
        (f"P-TopFreq {DAYS} days", own(by_days(DAYS)), popular),
        (f"UP-CF@{UP_CF['last']}", Once(up_cf(cache, purchases, **UP_CF)), popular),
        ("TIFU-KNN", Once(tifu_knn(cache, purchases, **TIFU_KNN)), popular),
    )

    def own_trips(batch: TimelineBatch) -> Tensor:
        found = batch.questions.own
        cells = (found.question, found.token)
        counts = popular.new_zeros(len(batch.questions.trip), len(popular))
        return counts.to(found.token.device).index_put_(cells, found.counts[:, NEIGHBOURS])

    together = Once(Cooccurrence(cache, **COOCCURRENCE))
    completion = ("completion",)
    return (
        *(Rule(name, count, floor) for name, count, floor in ways),
        *(
            Rule(f"{name} x context", count, floor, (in_context,), KNOWN)
            for name, count, floor in ways
        ),
        Rule("co-occurrence", None, popular, (together,), completion),
        *(
            Rule(f"{name} x context x co-occurrence", count, popular, (in_context, together),
                 completion)
            for name, count in (("GP-TopFreq", plain), ("P-TopFreq .95", decayed))
        ),
        Rule("own trips x context", own_trips, popular, (in_context,), completion),
    )  # fmt: skip


def _weighed(purchases: Purchases, weigh: Weigh, tokens: int) -> Tensor:
    return purchases.sums(weigh(purchases), tokens)
