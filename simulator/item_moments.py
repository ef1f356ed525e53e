"""Moments in which something is about to go into a basket, of trips that really were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulator.item_figures import Assortment, Before
from trainer.batches.batch import Questions
from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.masking import MaskedItems
from trainer.batches.timeline_loader import Hidden
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import TensorCache
from trainer.cache.vocabulary import PAD
from trainer.model.world_model import WorldModel

TRIPS = 2500
"""About as many trips are read."""


@dataclass(frozen=True)
class Moments:
    """Baskets, n, into which something is about to go, and what may have been next, T items."""

    logits: Tensor
    """(n, V), -inf for what cannot be."""
    items: Tensor
    """(n,) how many are in."""
    moments: Tensor
    """(n,) for how many moments each stands: a basket of so many items has as many, of which one
    was asked about."""
    before: Before
    inside: tuple[Tensor, Tensor]
    """Categories of the baskets, as of `Assortment`."""
    question: Tensor
    """(T,) which basket, ascending."""
    token: Tensor
    """(T,) what went in later: each as likely next as another."""
    weight: Tensor
    """(T,) its part of the moments."""

    @classmethod
    def of(cls, logits: Tensor, questions: Questions, assortment: Assortment) -> Moments:
        """Those of a batch's questions, n, about trips; the first n rows of the logits are theirs,
        of V columns."""
        count = len(questions.trip)
        logits = logits[:count].clone()
        logits[:, [PAD, -2, -1]] = -torch.inf  # no products
        items = torch.bincount(questions.question, minlength=count) - 1
        is_item = torch.ones_like(questions.token, dtype=torch.bool)
        is_item[questions.logit[:count]] = False
        of_product = is_item & (questions.token < logits.shape[1])
        visible = questions.question[of_product], questions.token[of_product]
        logits[visible] = -torch.inf
        hidden = torch.bincount(questions.target_question, minlength=count)
        question = questions.target_question
        return cls(
            logits, items, items + hidden, Before.of(questions),
            assortment.inside(*visible, count), question, questions.target,
            ((items + hidden) / hidden.clamp_min(1))[question],
        )  # fmt: skip

    def take(self, rows: Tensor) -> Moments:
        """Some baskets: rows (k,), ascending."""
        place = torch.full((len(self.logits),), -1)
        place[rows] = torch.arange(len(rows))
        own, later = place[self.before.question] >= 0, place[self.question] >= 0
        before = Before(
            place[self.before.question[own]], self.before.token[own], self.before.figures[own]
        )
        return Moments(
            self.logits[rows], self.items[rows], self.moments[rows], before,
            (self.inside[0][rows], self.inside[1][rows]), place[self.question[later]],
            self.token[later], self.weight[later],
        )  # fmt: skip


class _GrowingLoader(EvaluationDataLoader):
    """Every trip once, with as many of its items visible as may be, from none to all but one."""

    def hide(self, token, trip, rows, epoch, index):
        rng = np.random.default_rng([self.seed, *rows[:1].tolist(), len(token)])
        trip_of = trip.numpy()
        items = np.bincount(trip_of, minlength=len(rows))
        order = np.lexsort((rng.random(len(token)), trip_of))
        place = np.empty(len(token), np.int64)
        place[order] = np.arange(len(token)) - np.repeat(items.cumsum() - items, items)
        visible = (rng.random(len(rows)) * items).astype(np.int64)
        chosen = torch.from_numpy(place >= visible[trip_of])
        masked = MaskedItems(
            tokens=token.masked_fill(chosen, self.vocabulary.mask),
            targets=token.masked_fill(~chosen, PAD),
            price_hidden=chosen,
            fully_hidden=torch.from_numpy(visible == 0),
        )
        none = torch.zeros(len(rows), dtype=torch.bool)
        return Hidden(masked, none, none)


def moments(
    model: WorldModel, dataset: WorldModelDataset, seed: int, assortment: Assortment
) -> Iterator[Moments]:
    """Those of a dataset, in batches: each trip at one moment, which the seed draws."""
    model.eval()
    loader = _GrowingLoader(
        dataset, "next_known", seed=seed, tokens=16384, chunk=model.config.chunk
    )
    for batch in loader:
        with torch.no_grad():
            logits = model(batch).logits
        yield Moments.of(logits, batch.questions, assortment)


def some_customers(cache: TensorCache, first: int, last: int) -> WorldModelDataset:
    """Timelines of so many customers that about `TRIPS` trips lie in these weeks."""
    every = WorldModelDataset.of_weeks(cache, first, last)
    trips = (every.spans.stop - every.spans.first_target).sum()
    count = max(1, round(len(every) * TRIPS / max(trips, TRIPS)))
    chosen = np.random.default_rng(0).permutation(every.customers)[:count]
    return WorldModelDataset.of_weeks(cache, first, last, np.sort(chosen))
