"""Candidates for the answer to a question, and their features for boosting.

Shape letters: Q questions, n pairs of question and candidate, V = N + 3 tokens.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainer.baselines.counts import Counts
from trainer.baselines.history import EarlierItems
from trainer.baselines.own_counts import COUNTS, category_counts
from trainer.batches.batch import TimelineBatch
from trainer.cache.schema import CONTEXT
from trainer.features.categories import category_of_token
from trainer.features.chain_sales import COLUMNS
from trainer.features.purchase_history import GAPS, Bought

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
OF_CATEGORY = (
    *(f"category count by {name}" for name in COUNTS), *(f"category {name}" for name in GAPS),
)  # fmt: skip
"""Of the customer's earlier trips with any product of the candidate's finest category."""
NAMES = (*OF_PRODUCT, *OF_TRIP, *OF_CATEGORY)
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
        self._category = torch.from_numpy(category_of_token(cache)[: cache.vocabulary.size])
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
        history, category = questions.history, self._category.to(token.device)
        asked, categories = len(questions.trip), int(category.max()) + 1
        bought, gaps = _looked_up(
            history.products, counts.own(batch), question, token,
            (asked, counts.vocabulary.size),
        )  # fmt: skip
        of_category = _looked_up(
            history.categories, category_counts(history), question, category[token],
            (asked, categories),
        )  # fmt: skip
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
            _items_of(category, categories, purchases, question, token),
            *questions.sales.table[questions.sales.week[question], :, token].unbind(1),
            trips,
            *(calendar[name][trip] for name in CALENDAR),
            visible[question],
            *questions.context[question].unbind(1),
            *(column for part in of_category for column in part.unbind(1)),
        ]
        return torch.stack([column.float() for column in columns], dim=1).cpu().numpy()


def _looked_up(
    bought: Bought, counts: Tensor, question: Tensor, key: Tensor, shape: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Counts (n, counts) and gaps (n, gaps) of pairs of question and product, or category: 0 and
    `NEVER` where never bought.

    counts: (E, counts) of the entries of `bought`; shape: questions, and products or categories.
    """
    row = key.new_full(shape, len(bought.token))
    row[bought.question, bought.token] = torch.arange(len(bought.token), device=row.device)
    row = row[question, key]
    none, never = counts.new_zeros(1, len(COUNTS)), bought.gaps.new_full((1, len(GAPS)), NEVER)
    return torch.cat([counts, none])[row], torch.cat([bought.gaps, never])[row]


def _items_of(
    category: Tensor, categories: int, purchases: EarlierItems, question: Tensor, token: Tensor
) -> Tensor:
    """Earlier items of the candidate's finest category, (n,). category: (V,) of each token."""
    cell = purchases.owner * categories + category[purchases.token]
    counts = torch.bincount(cell, minlength=len(purchases.trips) * categories)
    return counts[question * categories + category[token]]
