"""Evidence for a product, counted in different ways; every count is made once per batch.

Constants were chosen on validation weeks: docs/experiments.md holds the grids.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from torch import Tensor

from trainer.baselines.cooccurrence import Cooccurrence
from trainer.baselines.frequency import Weigh, by_days, by_trips, equally
from trainer.baselines.history import EarlierItems, Once
from trainer.baselines.neighbours import tifu_knn, up_cf
from trainer.baselines.own_counts import COUNTS, own_counts
from trainer.batches.batch import TimelineBatch
from trainer.cache.reader import TensorCache
from trainer.features.chain_sales import receipt_item_shares
from trainer.model.purchases.counting_prior import CountingPrior, kind_index

RATE = 0.95
"""Weight of a trip per trip after it."""
DAYS = 120
"""Days after which a trip weighs 1/e."""
UP_CF = {"last": 25, "asymmetry": 0.5, "locality": 30}
TIFU_KNN = {"groups": 10, "within": 0.95, "between": 0.6, "neighbours": 300, "alpha": 0.7}
COOCCURRENCE = {"strength": 0.25, "smoothing": 20}
NEIGHBOURS = COUNTS.index("neighbours")
"""Column of `own_counts`."""


class Counts:
    """Functions of a batch that count for each question and token: (Q, N + 3) float32 each.

    Those that prepare something of the training weeks do so when they are first used.

    Args:
        cache: whose training weeks the statics are of.
        without: rows of training trips that do not count for `context` and `together`, if any.

    Attributes:
        vocabulary: of the cache.
        share: (N + 3,) share of each product among training items.
        purchases: earlier items of each question.
        own: `own_counts`, of the pairs of the batch's `PurchaseHistory` only.
        plain: the customer's earlier trips with the product.
        by_trips, by_days: the same, recent trips weighing more.
        up_cf, tifu_knn: blended with those of customers with similar purchases.
        similar_trips: earlier trips with the product, weighted by their overlap with the visible
            items.
        context: log lift of the product given the kind of trip, 0 where it is unknown.
        together: b times the sum of the log lifts of the product with each visible item.
    """

    def __init__(self, cache: TensorCache, without: np.ndarray | None = None) -> None:
        self.cache, self.vocabulary, self._without = cache, cache.vocabulary, without
        self._prior = CountingPrior(cache, receipt_item_shares(cache), without)
        self.share = self._prior.share
        self.purchases = Once(lambda batch: EarlierItems.of_questions(batch, cache.vocabulary))
        self.own = Once(lambda batch: own_counts(batch.questions.history))
        self.plain = self.weighed(equally)
        self.by_trips = self.weighed(by_trips(RATE))
        self.by_days = self.weighed(by_days(DAYS))
        self.similar_trips = Once(self._similar_trips)
        self.context = Once(self._context)

    @cached_property
    def up_cf(self) -> Once[Tensor]:
        return Once(up_cf(self.cache, self.purchases, **UP_CF))

    @cached_property
    def tifu_knn(self) -> Once[Tensor]:
        return Once(tifu_knn(self.cache, self.purchases, **TIFU_KNN))

    @cached_property
    def together(self) -> Once[Tensor]:
        return Once(Cooccurrence(self.cache, **COOCCURRENCE, without=self._without))

    def weighed(self, weigh: Weigh) -> Once[Tensor]:
        """Earlier purchases, each with a weight."""

        def count(batch: TimelineBatch) -> Tensor:
            purchases = self.purchases(batch)
            return purchases.sums(weigh(purchases), self.vocabulary.size)

        return Once(count)

    def _similar_trips(self, batch: TimelineBatch) -> Tensor:
        bought, own = batch.questions.history.products, self.own(batch)
        counts = own.new_zeros(len(batch.questions.trip), self.vocabulary.size)
        return counts.index_put_((bought.question, bought.token), own[:, NEIGHBOURS])

    def _context(self, batch: TimelineBatch) -> Tensor:
        context = batch.questions.context
        return self._prior.lift.to(context.device)[kind_index(context, self._prior.codes)]
