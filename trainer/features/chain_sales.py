"""What the chain has sold recently: popularity moves, products come and go.

For each product, as of a week, from all trips of earlier weeks:

- trend: log((r + 2) / (e + 2)). r counts the trips with the product, each week back at 0.8 times
  the weight of the week after it; e is the count expected at its share of training items.
- absence: log(1 + weeks since it was last sold), capped at 30 weeks, also where it never was.

A product first sold after the training weeks has no training share. It takes its share of the
recent counts instead, and `shift` is the logarithm of the ratio between that share and the small
one of `item_shares`; for all other products the shift is 0.

The numbers 0.8, 2 and 30 are those of `ChainSalesSettings`. V is N + 3 tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.cache.held_out import training_trips
from trainer.cache.reader import TensorCache
from trainer.cache.rows import items_of
from trainer.cache.totals import over_customers
from trainer.features.tensors import TensorRecord

COLUMNS = ("trend", "absence")


@dataclass(frozen=True)
class ChainSalesSettings:
    """Constants of the two columns; other values change the meaning of learned weights."""

    decay: float = 0.8
    """Weight of a week's sales relative to those of the week after it."""
    pseudo_count: float = 2.0
    """Added to observed and expected counts alike, so that rare products have no extreme trend."""
    max_weeks_absent: int = 30
    """Weeks without a sale are counted up to this number."""


@dataclass(frozen=True)
class RecentSales(TensorRecord):
    """Recent sales of the chain for each question, as of its week."""

    table: Tensor
    """(weeks, 2, V) float32, the columns of `trainer.features.chain_sales.COLUMNS`."""
    shift: Tensor
    """(weeks, V) float32, added to the logarithm of each token's share."""
    week: Tensor
    """(Q,) int64 row of both, per question."""


class ChainSales:
    """Recent sales of the chain, kept up to date week by week.

    It starts at week 1 with nothing sold. Its size is that of three arrays by token, whatever the
    number of weeks.

    Args:
        share: (V,) float64 share of each token among training items, all above 0.
        is_novel: (V,) bool, tokens of products first sold after the training weeks.

    Attributes:
        week: the current week; sales of all earlier weeks are counted.
        recent: (V,) float64 decayed count of trips with each product.
        total: sum of `recent`.
        weeks_since_sold: (V,) int64, at most `max_weeks_absent`.
    """

    def __init__(
        self,
        share: np.ndarray,
        is_novel: np.ndarray,
        settings: ChainSalesSettings = ChainSalesSettings(),
    ) -> None:
        if share.shape != is_novel.shape:
            raise ValueError(f"share has shape {share.shape}, is_novel {is_novel.shape}")
        self.share, self.is_novel, self.settings = share, is_novel, settings
        self.week = 1
        self.recent, self.total = np.zeros(len(share)), 0.0
        self.weeks_since_sold = np.full(len(share), settings.max_weeks_absent)

    @classmethod
    def from_vocabulary(
        cls,
        vocabulary: TensorCache,
        share: np.ndarray,
        settings: ChainSalesSettings = ChainSalesSettings(),
    ) -> ChainSales:
        """Nothing sold yet; the products of a cache or of a checkpoint's vocabulary."""
        is_novel = np.concatenate([[False], vocabulary["products.is_novel"], [False, False]])
        return cls(share, is_novel, settings)

    def close_week(self, sold: np.ndarray) -> None:
        """Count the sales of the current week and move on to the next.

        sold (V,): trips of the week with each product; zeros for a week without data.
        """
        if sold.shape != self.share.shape:
            raise ValueError(f"sold: expected shape {self.share.shape}, found {sold.shape}")
        self.recent = self.settings.decay * self.recent + sold
        self.total = self.settings.decay * self.total + sold.sum()
        absent = np.minimum(self.weeks_since_sold + 1, self.settings.max_weeks_absent)
        self.weeks_since_sold = np.where(sold > 0, 0, absent)
        self.week += 1

    def advance_to(self, week: int) -> None:
        """Close weeks without data up to `week`. Raises ValueError for an earlier week."""
        if week < self.week:
            raise ValueError(f"sales stand at week {self.week}, week {week} is over")
        while self.week < week:
            self.close_week(np.zeros(len(self.share), dtype=np.int64))

    def table(self) -> np.ndarray:
        """(2, V) float32 as of the current week, the columns `COLUMNS`."""
        added = self.settings.pseudo_count
        expected = self.total * self._current_share()
        trend = np.log((self.recent + added) / (expected + added))
        return np.stack([trend, np.log1p(self.weeks_since_sold)]).astype(np.float32)

    def shift(self) -> np.ndarray:
        """(V,) float32 as of the current week: log of a novel product's recent share over its share
        of training items, never below 0; 0 for all others."""
        return np.log(self._current_share() / self.share).astype(np.float32)

    def as_of(self, questions: int) -> RecentSales:
        """For a number of questions, all of the current week."""
        table, shift = self.table()[None], self.shift()[None]
        row = np.zeros(questions, dtype=np.int64)
        return RecentSales(*map(torch.from_numpy, (table, shift, row)))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything but the settings, as plain arrays."""
        return {
            "share": self.share,
            "is_novel": self.is_novel,
            "recent": self.recent,
            "total": np.array(self.total, dtype=np.float64),
            "weeks_since_sold": self.weeks_since_sold,
            "week": np.array(self.week, dtype=np.int64),
        }

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, np.ndarray],
        settings: ChainSalesSettings = ChainSalesSettings(),
    ) -> ChainSales:
        """The inverse of `to_arrays`; copies the arrays."""
        sales = cls(arrays["share"].copy(), arrays["is_novel"].copy(), settings)
        sales.recent, sales.total = arrays["recent"].copy(), float(arrays["total"])
        sales.weeks_since_sold = arrays["weeks_since_sold"].copy()
        sales.week = int(arrays["week"])
        return sales

    def _current_share(self) -> np.ndarray:
        recent_share = self.recent / max(self.total, 1)
        return np.where(self.is_novel, np.maximum(recent_share, self.share), self.share)


class SalesByWeek:
    """Recent sales as of every week of a cache, including those of held-out customers.

    Args:
        cache: whose trips are counted.
        share: (V,) share of each token among training items.
    """

    table: np.ndarray
    """(weeks, 2, V) float32 as of each week."""
    shift: np.ndarray
    """(weeks, V) float32."""

    def __init__(
        self,
        cache: TensorCache,
        share: np.ndarray,
        settings: ChainSalesSettings = ChainSalesSettings(),
    ) -> None:
        sold = sold_by_week(cache)
        self.table = np.empty((len(sold), len(COLUMNS), len(share)), dtype=np.float32)
        self.shift = np.empty((len(sold), len(share)), dtype=np.float32)
        sales = ChainSales.from_vocabulary(cache, share, settings)
        for row, sold_in_week in enumerate(sold):
            self.table[row], self.shift[row] = sales.table(), sales.shift()
            sales.close_week(sold_in_week)

    def as_of(self, week: np.ndarray, tokens: np.ndarray | None = None) -> RecentSales:
        """For weeks (n,), from 1; of these tokens (C,) only, or of all V."""
        distinct, index = np.unique(week, return_inverse=True)
        row = distinct - 1
        if tokens is None:
            table, shift = self.table[row], self.shift[row]
        else:
            table = self.table[np.ix_(row, np.arange(len(COLUMNS)), tokens)]
            shift = self.shift[np.ix_(row, tokens)]
        return RecentSales(*map(torch.from_numpy, (table, shift, index)))


def chain_sales_after(
    cache: TensorCache, week: int, settings: ChainSalesSettings = ChainSalesSettings()
) -> ChainSales:
    """Recent sales when weeks 1..`week` of a cache are over: as of week `week` + 1.

    Raises ValueError for a week that the cache does not have.
    """
    sold = sold_by_week(cache)
    if not 0 <= week <= len(sold):
        raise ValueError(f"week: expected 0..{len(sold)}, found {week}")
    sales = ChainSales.from_vocabulary(cache, item_shares(cache), settings)
    for sold_in_week in sold[:week]:
        sales.close_week(sold_in_week)
    return sales


@over_customers
def sold_by_week(cache: TensorCache) -> np.ndarray:
    """Trips with each product in each week of a cache, (weeks, V) int64.

    Items with the fallback token of a category are left out.
    """
    weeks, tokens = cache.rows("weeks"), cache.vocabulary.size
    token = cache["items.token"].astype(np.int64)
    week = np.repeat(cache["trips.week"].astype(np.int64) - 1, np.diff(cache["trips.item_offsets"]))
    is_product = token < tokens
    cell = week[is_product] * tokens + token[is_product]
    return np.bincount(cell, minlength=weeks * tokens).reshape(weeks, tokens)


def item_shares(cache: TensorCache) -> np.ndarray:
    """Share of each token among training items, (V,) float64.

    Half an item is added to every token, so that none has a share of 0. Products first sold after
    the training weeks do not count in the total, so that shares do not depend on their number.
    """
    counts = cache["products.train_trips"].astype(np.float64) + 0.5
    total = counts[~cache["products.is_novel"]].sum()
    return np.concatenate([[0.5], counts, [0.5, 0.5]]) / total


def receipt_item_shares(cache: TensorCache) -> np.ndarray:
    """Share of each token among the training items of this cache's receipts, (V,) float64.

    A cache exported with `--like` has the static tables of the reference, `products.train_trips`
    among them. Those are right for a model trained on the reference, not for rules that count this
    cache's receipts. Shares are then counted from the timelines of its training weeks, so without
    anonymous trips and without held-out customers; for other caches they are `item_shares`.
    """
    if not cache.manifest.get("reference_vocabulary"):
        return item_shares(cache)
    rows, tokens = training_trips(cache), cache.vocabulary.size
    _, token = items_of(cache, rows)
    counts = np.bincount(token[token < tokens], minlength=tokens) + 0.5
    return counts / counts[1:-2].sum()
