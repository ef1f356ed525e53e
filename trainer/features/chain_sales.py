"""What the chain sells lately: popularity moves, products come and go.

For each week w and product, from all trips of the cache in earlier weeks:

- trend: log((d + 2) / (e + 2)), d the trips with the product, each week back counting 0.8 times as
  much, e what they would be at the product's share of training items;
- gone: log(1 + weeks since it was last sold), at most that of 30 weeks, also if it never was.

A product first sold after the training weeks has no share of them to compare with. Its share is
that of d among all; the shift is log(this share / the one it is taken to have), 0 for all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.cache.held_out import training_trips
from trainer.cache.reader import TensorCache
from trainer.cache.rows import items_of
from trainer.features.tensors import TensorRecord

RATE, ADDED, LONGEST = 0.8, 2.0, 30
COLUMNS = ("trend", "gone")


@dataclass(frozen=True)
class WeeklySales(TensorRecord):
    """What the chain sold lately, as of the week of each question."""

    table: Tensor
    """(weeks, columns, N + 3) float32, the columns of `trainer.features.chain_sales.COLUMNS`."""
    shift: Tensor
    """(weeks, N + 3) float32: what to add to the logarithm of each product's share."""
    week: Tensor
    """(Q,) int64 row of both, per question."""


class Sales:
    """All weeks of a cache, as of each.

    Args:
        cache: whose trips count, those of customers kept out of training as well.
        share: (N + 3,) of training items, by token.
    """

    table: np.ndarray
    """(weeks, columns, N + 3) float32 as of each week."""
    shift: np.ndarray
    """(weeks, N + 3) float32."""

    def __init__(self, cache: TensorCache, share: np.ndarray) -> None:
        weeks, tokens = len(cache["weeks.shop_week"]), len(share)
        token = cache["items.token"].astype(np.int64)
        week = np.repeat(
            cache["trips.week"].astype(np.int64) - 1, np.diff(cache["trips.item_offsets"])
        )
        own = token < tokens  # not a category's fallback
        cell = week[own] * tokens + token[own]
        sold = np.bincount(cell, minlength=weeks * tokens).reshape(weeks, tokens)
        self.table = np.empty((weeks, len(COLUMNS), tokens), dtype=np.float32)
        self.shift = np.zeros((weeks, tokens), dtype=np.float32)
        is_novel = np.concatenate([[False], cache["products.is_novel"], [False, False]])
        lately, total = np.zeros(tokens), 0.0
        since = np.full(tokens, LONGEST)
        for week in range(weeks):
            of_sales = np.where(is_novel, np.maximum(lately / max(total, 1), share), share)
            self.shift[week] = np.log(of_sales / share)
            trend = np.log((lately + ADDED) / (total * of_sales + ADDED))
            self.table[week] = trend, np.log1p(since)
            lately = RATE * lately + sold[week]
            total = RATE * total + sold[week].sum()
            since = np.where(sold[week] > 0, 0, np.minimum(since + 1, LONGEST))

    def as_of(self, week: np.ndarray) -> WeeklySales:
        """For weeks (n,), from 1."""
        distinct, index = np.unique(week, return_inverse=True)
        parts = self.table[distinct - 1], self.shift[distinct - 1], index
        return WeeklySales(*map(torch.from_numpy, parts))


def item_shares(cache: TensorCache) -> np.ndarray:
    """g: share of each token among training items, (V,) float64, half an item for those unseen.

    Shares of what training knows: how many products come later does not enter.
    """
    counts = cache["products.train_trips"].astype(np.float64) + 0.5
    total = counts[~cache["products.is_novel"]].sum()
    return np.concatenate([[0.5], counts, [0.5, 0.5]]) / total


def receipt_item_shares(cache: TensorCache) -> np.ndarray:
    """g of the cache's own receipts, also where its static tables are those of another one.

    A cache made `--like` another has that one's training trips in its products: right for a model
    that was trained on it, not for whoever counts these receipts. They are then counted in the
    timelines, so without anonymous trips and without customers kept out of training.
    """
    if not cache.manifest.get("reference_vocabulary"):
        return item_shares(cache)
    rows, tokens = training_trips(cache), cache.products + 3
    _, token = items_of(cache, rows)
    counts = np.bincount(token[token < tokens], minlength=tokens) + 0.5
    return counts / counts[1:-2].sum()
