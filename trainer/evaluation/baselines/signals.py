"""What boosting sees of a product that may be the answer to a question.

Shape letters: Q questions, n pairs of question and candidate, V = N + 3 tokens.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainer.data.batch import TimelineBatch
from trainer.data.schema import CODES_OF_CONTEXT
from trainer.evaluation.baselines.counts import Counts
from trainer.evaluation.baselines.frequency import by_days, by_trips
from trainer.evaluation.baselines.history import Purchases

POPULAR = 60
"""Candidates that the customer never bought: the first of G-TopFreq x context."""
OF_PRODUCT = (
    "count", "share of trips", "count .98", "count .95", "count .8", "count .5", "count 30 days",
    "count 120 days", "own trips", "UP-CF", "TIFU-KNN", "log lift of the kind of trip",
    "log lifts with visible items", "log share", "trips since", "days since", "days between",
    "due", "count of category", "price",
)  # fmt: skip
OF_TRIP = (
    "earlier trips", "days since last trip", "weekday", "hour", "week of year", "visible items",
    *CODES_OF_CONTEXT,
)  # fmt: skip
NAMES = (*OF_PRODUCT, *OF_TRIP)
NEVER = -1.0
"""Stands for days and trips since a purchase that never was."""


class Signals:
    """Candidates of a batch's questions and their features.

    Only what every rule may know: statics of the training weeks, strictly earlier trips, when and
    where the trip is, what is visible of it.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        cache = counts.cache
        self._category = torch.from_numpy(
            np.concatenate([[0], cache["products.category"].astype(np.int64), [0, 0]])
        )
        pence = np.concatenate([[0], cache["products.pence"], [0, 0]])
        self._pence = torch.from_numpy(pence.astype(np.float32))
        self._of_pair = (
            counts.plain,
            *(counts.weighed(by_trips(rate)) for rate in (0.98, 0.95, 0.8, 0.5)),
            *(counts.weighed(by_days(days)) for days in (30, 120)),
            counts.own_trips, counts.up_cf, counts.tifu_knn, counts.context, counts.together,
        )  # fmt: skip

    def order(self, batch: TimelineBatch) -> Tensor:
        """G-TopFreq x context, (Q, V) float32: log-scores of those that are no candidates."""
        return self._counts.share.log() + self._counts.context(batch)

    def candidates(self, batch: TimelineBatch) -> tuple[Tensor, Tensor]:
        """Pairs of question and token, two (n,) int64, by question: the customer's own products
        and the most popular others, less what is visible."""
        questions, products = batch.questions, self._counts.products
        own = self._counts.plain(batch) > 0
        order = self.order(batch).masked_fill(own, -torch.inf)
        order[:, [0, products + 1, products + 2]] = -torch.inf
        popular = order.topk(min(POPULAR, products), dim=1).indices
        chosen = own.scatter(1, popular, True)
        shown = questions.token <= products
        chosen[questions.question[shown], questions.token[shown]] = False
        chosen[:, [0, products + 1, products + 2]] = False
        question, token = chosen.nonzero().unbind(1)
        return question, token

    def features(self, batch: TimelineBatch, question: Tensor, token: Tensor) -> np.ndarray:
        """The columns `NAMES` of pairs of question and token (n,): (n, len(NAMES)) float32."""
        questions = batch.questions
        purchases = self._counts.purchases(batch)
        count, *others = (values(batch)[question, token] for values in self._of_pair)
        trips = purchases.trips[question]
        visible = torch.bincount(questions.question, minlength=len(questions.trip)) - 1
        trip = questions.trip[question]
        calendar = batch.trips.calendar
        columns = [
            count,
            count / trips.clamp(min=1),
            *others,
            self._counts.share.log()[token],
            *_recency(purchases, count, question, token, self._counts.products + 3),
            self._of_category(purchases, question, token),
            self._pence[token],
            trips,
            *(
                calendar[name][trip]
                for name in ("days_since_previous", "weekday", "hour", "week_of_year")
            ),
            visible[question],
            *questions.context[question].unbind(1),
        ]
        return torch.stack([column.float() for column in columns], dim=1).cpu().numpy()

    def _of_category(self, purchases: Purchases, question: Tensor, token: Tensor) -> Tensor:
        """Earlier items of the candidate's sub-commodity, (n,)."""
        categories = int(self._category.max()) + 1
        cell = purchases.owner * categories + self._category[purchases.token]
        counts = torch.bincount(cell, minlength=len(purchases.trips) * categories)
        return counts[question * categories + self._category[token]]


def _recency(
    purchases: Purchases, count: Tensor, question: Tensor, token: Tensor, tokens: int
) -> tuple[Tensor, ...]:
    """Trips and days since the last purchase, usual days between purchases, and days since in
    units of these: (n,) each, `NEVER` where there are none."""
    cell = purchases.owner * tokens + purchases.token
    pair = question * tokens + token

    def extreme(values: Tensor, which: str) -> Tensor:
        empty = torch.full((len(purchases.trips) * tokens,), NEVER)
        found = empty.scatter_reduce(0, cell, values.float(), which, include_self=False)
        return found[pair]

    days = extreme(purchases.days_ago, "amin")
    between = (extreme(purchases.days_ago, "amax") - days) / (count - 1).clamp(min=1)
    several = count > 1
    due = torch.where(several, days / between.clamp(min=1), NEVER)
    between = torch.where(several, between, NEVER)
    return extreme(purchases.trips_ago, "amin"), days, between, due
