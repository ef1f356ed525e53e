"""What is known of every product without the customer: the kind of trip, and recent sales.

The kind of trip changes the probability of every product: lift = P(p | kind) / P(p). Kinds are all
combinations of the four columns of the trip context. Of a product that training trips of a kind
hold m times, where as many trips of all kinds would hold it e times, the lift is

    (m + 4 l) / (e + 4)    with l the lift of its category, found in the same way from its parent's

the mean of a Poisson rate under a Gamma prior (Clayton and Kaldor, Empirical Bayes estimates of
age-standardized relative risks, 1987). So rare products have the lift of what is like them, and a
lift near 0 is believed where many purchases are missing (a Nonfood trip has hardly any fresh item).

In training, what a trip bought must not speak for itself: a rare product's only purchase on such
trips would make its lift that of a certain one. So the lift of what is to be predicted leaves that
purchase out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from trainer.batches.batch import Questions
from trainer.cache.held_out import training_trips
from trainer.cache.reader import TensorCache
from trainer.cache.rows import items_of
from trainer.cache.schema import CONTEXT
from trainer.cache.totals import over_customers
from trainer.features.categories import category_of_token
from trainer.features.chain_sales import COLUMNS, item_shares

LIFT_PURCHASES = 4.0
"""Expected purchases that weigh as much as what is known without them."""
FEWEST = 0.02
"""Purchases that are left at least without one's own. Of a category that such trips hardly ever
hold, fewer are, and their logarithm would be an outlier."""


class CountingPrior(nn.Module):
    """Log-scores of the kind of trip and of what the chain sold lately. Starts as the lift alone.

    Args:
        cache: shares and lifts are those of its training weeks.
        share: (V,) shares of training items by token; `item_shares` if left out.
        without: rows of training trips that do not count for lifts, if any.
    """

    def __init__(
        self,
        cache: TensorCache,
        share: np.ndarray | None = None,
        without: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        share = item_shares(cache) if share is None else share
        self.codes = tuple(cache.label_counts.codes.values())
        self.register_buffer("share", torch.from_numpy(share).float())
        trips, bought = trips_by_kind(cache), bought_by_kind(cache)
        if without is not None:
            trips, bought = trips - _trips(cache, without), bought - _bought(cache, without)
        self.register_buffer("lift", _lifts(cache, trips, bought))
        # What training reads besides.
        of_kind, sold = torch.from_numpy(trips).float(), torch.from_numpy(bought.sum(0)).float()
        self.register_buffer("trips_of_kind", of_kind, persistent=False)
        self.register_buffer("sold", sold, persistent=False)
        self.lift_weight = nn.Parameter(torch.ones(()))
        self.sales_weight = nn.Parameter(torch.zeros(len(COLUMNS)))

    def tables(self, questions: Questions, bias: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Log-scores of all tokens: tables (n, V) and each question's row of them, (Q,).

        bias (V,): added for every question. V is C where the questions are about candidates.
        """
        sales, candidates = questions.sales, questions.candidates
        lift, row = self.lift, kind_index(questions.context, self.codes)
        if len(row) < len(lift):  # a few questions need only their kinds
            lift, row = lift.index_select(0, row), torch.arange(len(row), device=row.device)
        if candidates is not None:
            lift = lift.index_select(1, candidates.predicted)
        recent = torch.einsum("wcv,c->wv", sales.table, self.sales_weight) + sales.shift
        return (
            (self.lift_weight * lift, row),
            (recent + bias, sales.week),
        )

    def history_shares(self, questions: Questions) -> Tensor:
        """g of the products bought before, (E,): share of training items, or of recent items for a
        product first sold after training."""
        bought, sales = questions.history.products, questions.sales
        shift = sales.shift[sales.week[bought.question], bought.token]
        return self.share[questions.whole(bought.token)] * shift.exp()

    def log_lifts(self, questions: Questions) -> Tensor:
        """Log lift of each product bought before, given the kind of trip, (E,)."""
        bought = questions.history.products
        kind = kind_index(questions.context, self.codes)
        return self.lift[kind[bought.question], questions.whole(bought.token)]

    def without_own(self, questions: Questions) -> Tensor:
        """How much the log lift of each target, (G,), changes where the purchase that is to be
        predicted is not counted; the lift of its category stays. Of training trips."""
        kind = kind_index(questions.context, self.codes)[questions.target_question]
        token = questions.whole(questions.target)
        lift, trips, sold = self.lift[kind, token], self.trips_of_kind[kind], self.sold[token]
        total = self.trips_of_kind.sum()
        expected = _expected(trips, sold, total)
        left = (lift.exp() * (expected + LIFT_PURCHASES) - 1).clamp_min(FEWEST)
        others = _expected(trips - 1, sold - 1, total - 1)
        change = (left / (others + LIFT_PURCHASES)).log() - lift
        return change.where(lift != 0, 0.0)  # 0: nothing is known of this kind, or product


def kind_index(context: Tensor, codes: Sequence[int]) -> Tensor:
    """Index (Q,) of the combination of codes (Q, 4) of the trip context; 0 if all are unknown.

    codes: how many each of the four columns has.
    """
    index = torch.zeros_like(context[:, 0])
    for column, count in enumerate(codes):
        index = index * count + context[:, column]
    return index


def _lifts(cache: TensorCache, trips: np.ndarray, bought: np.ndarray) -> Tensor:
    """Log lifts (kinds, V) from training trips (kinds,) and items (kinds, V): 0 for kinds with an
    unknown column and products never bought."""
    sold, total = bought.sum(0), max(trips.sum(), 1)
    tree = _Tree(cache)
    codes = torch.cartesian_prod(*map(torch.arange, cache.label_counts.codes.values()))
    lift = torch.zeros(bought.shape)
    # One kind at a time: of many products, all would take gigabytes in float64.
    for kind in codes.gt(0).all(1).nonzero().squeeze(1).tolist():
        # Products first sold later are no part of their category's.
        expected = np.where(sold > 0, _expected(trips[kind], sold, total), 0)
        lift[kind] = torch.from_numpy(np.log(tree.lifts(bought[kind], expected)))
    # Special tokens and products first sold later: nothing is known of their kinds of trip.
    lift[:, torch.from_numpy(sold == 0)] = 0
    return lift


def _expected(trips, sold, total):
    """Purchases on trips of a kind, were it the average of all. Of what is sold per trip, not per
    item: the number of items of a trip is part of its kind."""
    return trips * (sold + 0.5) / total


class _Tree:
    """Categories of all tokens (V,), and their parents up to one root: C categories, then it."""

    def __init__(self, cache: TensorCache) -> None:
        root = cache.rows("categories")
        parent = cache["categories.parent"].astype(np.int64)
        self.category = category_of_token(cache)[: cache.vocabulary.size]  # none: the root
        self.parent = np.append(np.where(parent < 0, root, parent), root)
        level = cache["categories.level"]
        self.levels = [np.flatnonzero(level == n) for n in np.unique(level)]
        """From the finest to the coarsest."""

    def lifts(self, bought: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Lifts of tokens, all (V,): purchases over what is expected of the average kind."""
        of_category = np.stack(
            [np.bincount(self.category, x, len(self.parent)) for x in (bought, expected)]
        )
        for rows in self.levels:
            np.add.at(of_category, (slice(None), self.parent[rows]), of_category[:, rows])
        lift = np.ones(len(self.parent))
        lift[-1] = _shrunk(*of_category[:, -1], 1.0)
        for rows in reversed(self.levels):
            lift[rows] = _shrunk(*of_category[:, rows], lift[self.parent[rows]])
        return _shrunk(bought, expected, lift[self.category])


def _shrunk(bought, expected, prior):
    return (bought + LIFT_PURCHASES * prior) / (expected + LIFT_PURCHASES)


@over_customers
def trips_by_kind(cache: TensorCache) -> np.ndarray:
    """Training trips of each kind (`kind_index`), (kinds,) int64."""
    return _trips(cache, training_trips(cache))


@over_customers
def bought_by_kind(cache: TensorCache) -> np.ndarray:
    """Items of each token on training trips of each kind, (kinds, V) int32, without those with the
    fallback token of a category."""
    return _bought(cache, training_trips(cache))


def _trips(cache: TensorCache, rows: np.ndarray) -> np.ndarray:
    """(kinds,) of trips (n,)."""
    return np.bincount(_kinds(cache, rows), minlength=_kind_count(cache))


def _bought(cache: TensorCache, rows: np.ndarray) -> np.ndarray:
    """(kinds, V) int32 of trips (n,)."""
    tokens = cache.vocabulary.size
    lengths, token = items_of(cache, rows)
    known = token < tokens
    kind, token = np.repeat(_kinds(cache, rows), lengths)[known], token[known]
    order = np.argsort(kind, kind="stable")
    bounds = np.searchsorted(kind[order], np.arange(_kind_count(cache) + 1))
    bought = np.zeros((_kind_count(cache), tokens), dtype=np.int32)
    for number, (start, stop) in enumerate(pairwise(bounds)):
        bought[number] = np.bincount(token[order[start:stop]], minlength=tokens)
    return bought


def _kinds(cache: TensorCache, rows: np.ndarray) -> np.ndarray:
    """The kind of each of the cache's trips (n,), (n,) int64."""
    context = [torch.from_numpy(cache[f"trips.{name}"][rows].astype(int)) for name in CONTEXT]
    return kind_index(torch.stack(context, dim=1), list(cache.label_counts.codes.values())).numpy()


def _kind_count(cache: TensorCache) -> int:
    return int(np.prod(list(cache.label_counts.codes.values())))
