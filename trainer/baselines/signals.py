"""Candidates for the answer to a question, and their features for boosting.

Shape letters: Q questions, n pairs of question and candidate, V = N + 3 tokens.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainer.baselines.counts import Counts
from trainer.baselines.history import EarlierItems
from trainer.baselines.own_counts import COUNTS
from trainer.batches.batch import TimelineBatch
from trainer.cache.schema import CONTEXT
from trainer.features.chain_sales import COLUMNS
from trainer.features.purchase_history import GAPS

POPULAR = 60
"""Candidates by popularity: the first products of G-TopFreq x context not bought before."""
OF_PRODUCT = (
    *(f"count by {name}" for name in COUNTS), *GAPS, "share of trips", "days since / usual days",
    "UP-CF", "TIFU-KNN", "log lift of the kind of trip", "log lifts with visible items",
    "log share", "log price", "items of category",
    *(f"sales {name}" for name in COLUMNS),
)  # fmt: skip
CALENDAR = ("days_since_previous", "weekday", "hour", "week_of_year")
OF_TRIP = ("earlier trips", *CALENDAR, "visible items", *CONTEXT)
NAMES = (*OF_PRODUCT, *OF_TRIP)
TRIP_COUNT = COUNTS.index("trips 1")
NEVER = -1.0
"""Gap of a product that was never bought."""


class Signals:
    """Candidates of a batch's questions and their features.

    They are made of what every rule may use: statistics of the training weeks, strictly earlier
    trips, time and store of the trip, and its visible items.

    Args:
        counts: what the rules count.
        popular: how many candidates that the customer has not bought before.
    """

    def __init__(self, counts: Counts, popular: int = POPULAR) -> None:
        self._counts, self._popular = counts, popular
        cache = counts.cache
        self._category = torch.from_numpy(
            np.concatenate([[0], cache["products.category"].astype(np.int64), [0, 0]])
        )
        pence = np.concatenate([[0], cache["products.pence"], [0, 0]])
        self._price = torch.from_numpy(pence.astype(np.float32)).log1p()

    def order(self, batch: TimelineBatch) -> Tensor:
        """G-TopFreq x context, (Q, V) float32: log-scores that order the other products."""
        context = self._counts.context(batch)
        return self._counts.share.log().to(context.device) + context

    def candidates(self, batch: TimelineBatch) -> tuple[Tensor, Tensor]:
        """Pairs of question and token, two (n,) int64, in the order of questions.

        Candidates are previously bought products and the most popular others, without what is
        visible.
        """
        questions, vocabulary = batch.questions, self._counts.vocabulary
        history = self._counts.plain(batch) > 0
        order = self.order(batch).masked_fill(history, -torch.inf)
        order[:, vocabulary.specials] = -torch.inf
        popular = order.topk(min(self._popular, vocabulary.products), dim=1).indices
        chosen = history.scatter(1, popular, True)
        visible = vocabulary.is_product(questions.token)
        chosen[questions.question[visible], questions.token[visible]] = False
        chosen[:, vocabulary.specials] = False
        question, token = chosen.nonzero().unbind(1)
        return question, token

    def features(self, batch: TimelineBatch, question: Tensor, token: Tensor) -> np.ndarray:
        """The columns `NAMES` of pairs of question and token (n,): (n, len(NAMES)) float32."""
        counts, questions = self._counts, batch.questions
        bought, gaps = self._history(batch, question, token)
        purchases = counts.purchases(batch)
        trips = purchases.trips[question]
        since, usual = gaps[:, GAPS.index("days since")], gaps[:, GAPS.index("usual days")]
        visible = torch.bincount(questions.question, minlength=len(questions.trip)) - 1
        trip, calendar = questions.trip[question], batch.trips.calendar
        columns = [
            *bought.unbind(1),
            *gaps.unbind(1),
            bought[:, TRIP_COUNT] / trips.clamp(min=1),
            torch.where(usual < 0, NEVER, since / usual.clamp(min=1)),
            *(
                values(batch)[question, token]
                for values in (counts.up_cf, counts.tifu_knn, counts.context, counts.together)
            ),
            *(static.to(token.device)[token] for static in (counts.share.log(), self._price)),
            self._of_category(purchases, question, token),
            *questions.sales.table[questions.sales.week[question], :, token].unbind(1),
            trips,
            *(calendar[name][trip] for name in CALENDAR),
            visible[question],
            *questions.context[question].unbind(1),
        ]
        return torch.stack([column.float() for column in columns], dim=1).cpu().numpy()

    def _history(
        self, batch: TimelineBatch, question: Tensor, token: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Counts (n, counts) and gaps (n, gaps) of pairs: 0 and `NEVER` where never bought."""
        history, tokens = batch.questions.history.products, self._counts.vocabulary.size
        row = history.token.new_full((len(batch.questions.trip), tokens), len(history.token))
        row[history.question, history.token] = torch.arange(len(history.token), device=row.device)
        row = row[question, token]
        never = history.gaps.new_full((1, len(GAPS)), NEVER)
        own = self._counts.own(batch)
        counts = torch.cat([own, own.new_zeros(1, len(COUNTS))])
        return counts[row], torch.cat([history.gaps, never])[row]

    def _of_category(self, purchases: EarlierItems, question: Tensor, token: Tensor) -> Tensor:
        """Earlier items of the candidate's sub-commodity, (n,)."""
        category = self._category.to(token.device)
        categories = int(category.max()) + 1
        cell = purchases.owner * categories + category[purchases.token]
        counts = torch.bincount(cell, minlength=len(purchases.trips) * categories)
        return counts[question * categories + category[token]]
