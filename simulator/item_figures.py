"""What the chance of a product to go into a basket next depends on, besides what a model says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.batches.batch import Questions
from trainer.cache.ragged import ranges
from trainer.cache.reader import TensorCache
from trainer.features.categories import category_of_token
from trainer.features.purchase_history import GAPS

BEFORE = (
    "bought before", "log times", "log days since", "log products bought before",
    "size of the trip",
)  # fmt: skip
"""Figures of products that the customer bought before."""
ALL = ("a category of the basket", "a finest category of the basket", "log share of sales")
"""Figures of all products."""


class Assortment:
    """What the chances of a token (V,) depend on besides the customer."""

    def __init__(self, cache: TensorCache, last_week: int) -> None:
        category = torch.from_numpy(category_of_token(cache)[: cache.vocabulary.size].astype(int))
        parent = np.append(cache["categories.parent"].astype(np.int64), -1)
        rows = np.arange(len(parent))
        above = torch.from_numpy(np.where(parent < 0, rows, parent))
        self.levels = above[category], category
        """Categories of tokens, the finest last."""
        self._tokens = [each.argsort(stable=True).numpy() for each in self.levels]
        self._first = [
            np.searchsorted(each[order].numpy(), np.arange(len(rows) + 1))
            for each, order in zip(self.levels, self._tokens, strict=True)
        ]
        week = np.repeat(cache["trips.week"], np.diff(cache["trips.item_offsets"].astype(np.int64)))
        sold = np.bincount(cache["items.token"][week <= last_week], minlength=len(category))
        share = (sold[: len(category)] + 0.5) / (sold.sum() + 0.5 * len(category))
        self.log_share = torch.from_numpy(np.log(share)).float()

    def inside(self, question: Tensor, token: Tensor, questions: int) -> tuple[Tensor, Tensor]:
        """Which categories of each level the items (n,) of baskets have: (questions, categories)
        float32 of 0 and 1 each."""
        found = []
        for category in self.levels:
            there = torch.zeros(questions, int(category.max()) + 1)
            there[question, category[token]] = 1
            found.append(there)
        return tuple(found)

    def add(self, scores: Tensor, inside: tuple[Tensor, Tensor], weights: Tensor) -> None:
        """Add the weight of each level to the scores (questions, V) of all tokens of the categories
        that are `inside`."""
        for there, tokens, first, weight in zip(
            inside, self._tokens, self._first, weights, strict=False
        ):
            row, category = (each.numpy() for each in there.nonzero(as_tuple=True))
            number = first[category + 1] - first[category]
            token = tokens[ranges(first[category], number)]
            scores[torch.from_numpy(np.repeat(row, number)), torch.from_numpy(token)] += weight


@dataclass(frozen=True)
class Before:
    """Products that the customers of questions bought before."""

    question: Tensor
    """(E,) int64, ascending."""
    token: Tensor
    """(E,) int64."""
    figures: Tensor
    """(E, BEFORE) float32."""

    @classmethod
    def of(cls, questions: Questions) -> Before:
        """Those of questions."""
        bought = questions.history.products
        days = bought.gaps[:, GAPS.index("days since")]
        number = torch.bincount(bought.question, minlength=len(questions.trip))[bought.question]
        figures = [
            torch.ones_like(days), bought.times.log(), days.clamp_min(0).log1p(),
            number.float().log(), questions.context[bought.question, 0].float(),
        ]  # fmt: skip
        return cls(bought.question, bought.token, torch.stack(figures, 1))


def of_all(alike: Tensor, log_share: Tensor) -> Tensor:
    """(n, ALL) figures of products. alike (n,): 1 in a category of the basket, 2 in a finest one of
    it, else 0; log_share (n,) of sales."""
    return torch.stack([(alike >= 1).float(), (alike == 2).float(), log_share], 1)
