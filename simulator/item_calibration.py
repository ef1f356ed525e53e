"""The chances of the next item of a basket, as what really went in next says.

A model that orders products well need not know how sure to be, and what it was calibrated for is
one question: all that is in a basket of which nothing, or most, is known. A simulation asks for one
item after the other, and what it draws too rarely, it then has never bought. So each chance is
tilted: products that the customer bought before by `BEFORE`, all products by `ALL`, each of the two
kinds with weights and a temperature of its own (Guo et al., On calibration of modern neural
networks, 2017); and a share m is spread evenly (Jelinek and Mercer, Interpolated estimation of
Markov source parameters, 1980):

    p = (1 - m) softmax(log p / T + weights . figures) + m / V

Fitted by maximum likelihood, under which the expected value of each figure is what it was; for each
of a few numbers of items already in the basket, on the last weeks of the history, of which the
model was not trained on any. Each trip counts with its items put in one by one, in an order of
chance. After that each product known in training is raised or lowered to what went in of it, as far
as those trips can tell: a staple that comes too rarely would be missing from every week.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from simulator.draws import uniforms
from simulator.season import CategorySeason
from trainer.batches.batch import Questions
from trainer.batches.loaders import EvaluationDataLoader, Hidden
from trainer.batches.masking import MaskedItems
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.ragged import ranges
from trainer.cache.reader import TensorCache
from trainer.cache.vocabulary import PAD
from trainer.features.categories import category_of_token
from trainer.features.purchase_history import GAPS
from trainer.model.world_model import WorldModel

WEEKS, TRIPS = 6, 2500
"""The last weeks, and about as many trips in them, that are read."""
PASSES = 2
"""Times that each of these trips is asked about, with other items in the basket."""
IN_BASKET = (1, 2, 4, 8)
"""Where groups of numbers of items begin, after that of none."""
BEFORE = (
    "bought before", "log times", "log days since", "log products bought before",
    "size of the trip",
)  # fmt: skip
"""Figures of products that the customer bought before."""
ALL = ("a category of the basket", "a finest category of the basket", "log share of sales")
"""Figures of all products."""
LOWEST, BINS = -24.0, 241
"""Log-probabilities of products that are new to the customer are counted in steps of .1 from here
to 0."""
LEAST_SHARE, SHARES = -13, 14
"""Their log shares of sales, in steps of 1."""
DEVIATION = 2.0
"""Of weak normal priors on the weights, the logarithms of temperatures and the log-odds of m, with
means 0, and `PRIOR_LOG_ODDS` for m."""
PRIOR_LOG_ODDS = -4.6
STRAYS = 11
"""What a number is drawn for."""
EVIDENCE = 20.0
"""Items expected of a category, and of a product, that count as much as what went in of it."""


class _Numbers(NamedTuple):
    """What is fitted for a group: temperatures as logarithms, and weights of figures."""

    log_own_t: Tensor
    """Of products that the customer bought before."""
    log_other_t: Tensor
    odds: Tensor
    """Log-odds of m."""
    of_before: Tensor
    """(BEFORE,)"""
    of_own: Tensor
    """(ALL,) for products bought before."""
    of_others: Tensor
    """(ALL,) for all others."""

    @classmethod
    def of(cls, values: Tensor) -> _Numbers:
        """Those of a row of `ItemCalibration.values`."""
        log_own_t, log_other_t, odds = values[:3]
        weights = values[3:].split((len(BEFORE), len(ALL), len(ALL)))
        return cls(log_own_t, log_other_t, odds, *weights)


def _prior_means() -> Tensor:
    """(numbers,) float64, under which a model's chances stay as they are but for m."""
    means = torch.zeros(3 + len(BEFORE) + 2 * len(ALL), dtype=torch.float64)
    means[2] = PRIOR_LOG_ODDS
    return means


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


class ItemCalibration:
    """Probabilities of the next item; those of the model where no week is left to learn from.

    Args:
        model: whose logits they are made of.
        cache: the receipts.
        start: the last week that is read.

    Attributes:
        values: (groups, numbers) float64 by number of items in the basket.
        tilt: (V,) float32, what is added to the scores of products besides.
        assortment: of the chain, as of that week.
    """

    def __init__(self, model: WorldModel, cache: TensorCache, start: int) -> None:
        self.assortment = Assortment(cache, start)
        plain = _prior_means()
        plain[2] = -torch.inf
        self.values = plain.repeat(len(IN_BASKET) + 1, 1)
        self.tilt = torch.zeros(cache.vocabulary.size)
        self._season = CategorySeason(cache, start, self.assortment.levels[0].numpy())
        first = max(cache.split["train"][1] + 1, start - WEEKS + 1)
        if first > start:
            return
        seen = _Seen(self.assortment)
        dataset = _some(cache, first, start)
        model.eval()
        with torch.no_grad():
            for number in range(PASSES):
                for batch in _growing(dataset, number, model):
                    seen.record(_Moments.of(model(batch).logits, batch.questions, self.assortment))
            self.values = seen.fitted()
            expected, went_in = torch.zeros(2, cache.vocabulary.size)
            for batch in _growing(dataset, PASSES, model):
                moments = _Moments.of(model(batch).logits, batch.questions, self.assortment)
                expected += self._expected(moments)
                went_in.index_add_(0, batch.questions.target, moments.weight)
        self.tilt = _tilt(expected, went_in, self.assortment.levels[0], _is_new(cache))

    def in_week(self, week: int, seed: int) -> Tensor:
        """(V,) float32, what is added to scores in a week of a run: the season of categories, and
        how far they stray from it, one half in this week alone and one in all weeks of the run."""
        category, spread = self.assortment.levels[0], self._season.spread / np.sqrt(2)
        rows = np.arange(int(category.max()) + 1)
        u = uniforms(seed, STRAYS, rows), uniforms(seed, STRAYS, rows, week)
        stray = sum(torch.special.ndtri(torch.from_numpy(each)) for each in u) * spread
        return (torch.from_numpy(self._season.difference(week)) + stray)[category].float()

    def _expected(self, moments: _Moments) -> Tensor:
        """(V,) how often products are expected to go in."""
        total = torch.zeros(moments.logits.shape[1])
        group = torch.from_numpy(np.digitize(moments.items.numpy(), IN_BASKET))
        for number in group.unique().tolist():
            own = moments.take((group == number).nonzero().squeeze(1))
            barred = torch.where(own.logits.isfinite(), 0.0, -torch.inf)
            p = self.p(own.logits, barred, own.before, own.inside, int(own.items[0]))
            total += own.moments.float() @ p
        return total

    def p(
        self, logits: Tensor, barred: Tensor, before: Before, inside: tuple[Tensor, Tensor],
        in_basket: int, of_week: Tensor | float = 0.0,
    ) -> Tensor:  # fmt: skip
        """(n, V) probabilities of what is next: logits (n, V); barred (n, V): 0, or -inf for what
        cannot be; inside: categories of the baskets, as of `Assortment`; all baskets hold as many
        items. of_week: see `in_week`."""
        numbers = _Numbers.of(self.values[int(np.digitize(in_basket, IN_BASKET))].float())
        share = self.assortment.log_share
        log_p = (logits + barred).log_softmax(1)
        row, token = before.question, before.token
        own = log_p[row, token] / numbers.log_own_t.exp() + before.figures @ numbers.of_before
        own += numbers.of_own[2] * share[token]
        for there, category, weight in zip(
            inside, self.assortment.levels, numbers.of_own, strict=False
        ):
            own += there[row, category[token]] * weight
        log_p.div_(numbers.log_other_t.exp()).add_(numbers.of_others[2] * share)
        self.assortment.add(log_p, inside, numbers.of_others)
        log_p[row, token] = own
        log_p += self.tilt + of_week
        p = log_p.softmax(1)
        if numbers.odds.isfinite():
            possible = (barred == 0).float()
            even = numbers.odds.sigmoid() / possible.sum(1, keepdim=True)
            p = p.mul_((-numbers.odds).sigmoid()).add_(possible.mul_(even))
        return p


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


@dataclass(frozen=True)
class _Moments:
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
    def of(cls, logits: Tensor, questions: Questions, assortment: Assortment) -> _Moments:
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

    def take(self, rows: Tensor) -> _Moments:
        """Some baskets: rows (k,), ascending."""
        place = torch.full((len(self.logits),), -1)
        place[rows] = torch.arange(len(rows))
        own, later = place[self.before.question] >= 0, place[self.question] >= 0
        before = Before(
            place[self.before.question[own]], self.before.token[own], self.before.figures[own]
        )
        return _Moments(
            self.logits[rows], self.items[rows], self.moments[rows], before,
            (self.inside[0][rows], self.inside[1][rows]), place[self.question[later]],
            self.token[later], self.weight[later],
        )  # fmt: skip


class _Seen:
    """What went in next, and the scores of all that could have."""

    def __init__(self, assortment: Assortment) -> None:
        self._assortment = assortment
        self._share = (assortment.log_share.round().long() - LEAST_SHARE).clamp(0, SHARES - 1)
        self._parts: list[tuple[Tensor, ...]] = []
        self._questions = 0

    def record(self, moments: _Moments) -> None:
        count, before, log_p = len(moments.logits), moments.before, moments.logits.log_softmax(1)
        # 1 for tokens of a category of the basket, 2 of a finest one of it, else 0.
        alike = sum(
            there.long()[:, category]
            for there, category in zip(moments.inside, self._assortment.levels, strict=True)
        )
        where = before.question, before.token
        own, of_own = log_p[where], alike[where]
        went_in = torch.zeros_like(log_p)
        went_in.index_put_((moments.question, moments.token), moments.weight, accumulate=True)
        own_went_in = went_in[where]
        log_p[where] = -torch.inf
        went_in[where] = 0
        cell = ((log_p / LOWEST).clamp(0, 1) * (BINS - 1)).round().long()
        cell += BINS * (self._share + SHARES * alike)
        products, others = torch.zeros(2, count, 3 * SHARES * BINS)
        products.scatter_add_(1, cell, log_p.isfinite().float())
        others.scatter_add_(1, cell, went_in)
        possible = own.isfinite()
        figures = torch.cat(
            [before.figures, _of_all(of_own, self._assortment.log_share[before.token])], 1
        )
        self._parts.append(
            (moments.items, *_sparse(products, self._questions), *_sparse(others, self._questions),
             before.question[possible] + self._questions, own[possible], figures[possible],
             own_went_in[possible])
        )  # fmt: skip
        self._questions += count

    def fitted(self) -> Tensor:
        columns = [torch.cat(part) for part in zip(*self._parts, strict=True)]
        items, products, others, own = columns[0], columns[1:4], columns[4:7], columns[7:]
        group = torch.from_numpy(np.digitize(items.numpy(), IN_BASKET))
        place = torch.zeros_like(group)
        found = []
        for number in range(len(IN_BASKET) + 1):
            chosen = group == number
            place[chosen] = torch.arange(int(chosen.sum()))

            def of_group(question, *values, chosen=chosen):
                kept = chosen[question]
                return place[question[kept]], *(value[kept] for value in values)

            found.append(
                _fit(int(chosen.sum()), of_group(*products), of_group(*others), of_group(*own))
            )
        return torch.stack(found)


def _growing(dataset: WorldModelDataset, seed: int, model: WorldModel) -> _GrowingLoader:
    return _GrowingLoader(dataset, "next_known", seed=seed, tokens=16384, chunk=model.config.chunk)


def _tilt(expected: Tensor, went_in: Tensor, category: Tensor, is_new: Tensor) -> Tensor:
    """(V,) logarithms of what went in over what was expected (V,) of products, shrunk to those of
    their categories (V,), and these to 1; 0 for products that are new (V,) bool."""
    wanted, had = (
        torch.zeros(int(category.max()) + 1).index_add_(0, category, part.masked_fill(is_new, 0))
        for part in (expected, went_in)
    )
    ratio = ((had + EVIDENCE) / (wanted + EVIDENCE))[category]
    tilt = ((went_in + EVIDENCE * ratio) / (expected + EVIDENCE)).log()
    return tilt.masked_fill(is_new, 0)


def _is_new(cache: TensorCache) -> Tensor:
    """(V,) bool: tokens of products that were not sold in training, and those that are none."""
    found = np.ones(cache.vocabulary.size, bool)
    found[1 : cache.products + 1] = cache["products.train_trips"] == 0
    return torch.from_numpy(found)


def _sparse(counts: Tensor, first: int) -> tuple[Tensor, Tensor, Tensor]:
    """Question, cell and count of what is not 0."""
    question, cell = counts.nonzero(as_tuple=True)
    return question + first, cell, counts[question, cell]


def _of_all(alike: Tensor, log_share: Tensor) -> Tensor:
    """(n, ALL) figures."""
    return torch.stack([(alike >= 1).float(), (alike == 2).float(), log_share], 1)


def _fit(
    questions: int, products: tuple[Tensor, ...], others: tuple[Tensor, ...],
    own: tuple[Tensor, ...],
) -> Tensor:  # fmt: skip
    """A row of `ItemCalibration.values`: maximum a posteriori.

    products, others: question, cell and, of products that are new to the customer, how many there
    are, and the weight of those that went in. own: question, score, figures and weight of products
    bought before.
    """
    means = _prior_means()
    if not questions:
        return means
    values = means.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([values], max_iter=80, line_search_fn="strong_wolfe")
    cells = torch.arange(3 * SHARES * BINS)
    score = cells % BINS / (BINS - 1) * LOWEST
    rest = cells // BINS
    of_cell = _of_all(rest // SHARES, (rest % SHARES + LEAST_SHARE).float()).double()
    question, cell, number = (
        part.double() if part.is_floating_point() else part for part in products
    )
    in_question, in_cell, in_weight = others
    own_question, own_score, own_figures, own_weight = own
    total_number = torch.bincount(question, number, questions).add(
        torch.bincount(own_question, minlength=questions)
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        numbers = _Numbers.of(values)
        weights = torch.cat([numbers.of_before, numbers.of_own])
        of_own = own_score.double() / numbers.log_own_t.exp() + own_figures.double() @ weights
        of_cells = score.double() / numbers.log_other_t.exp() + of_cell @ numbers.of_others
        # No score is far from 0: sums of exponentials need no shift.
        total = torch.zeros(questions, dtype=torch.float64)
        total = total.index_add(0, question, number * of_cells.exp()[cell])
        total = total.index_add(0, own_question, of_own.exp()).log()
        inside = F.logsigmoid(-numbers.odds)
        even = F.logsigmoid(numbers.odds) - total_number.log()
        log_own = torch.logaddexp(of_own - total[own_question] + inside, even[own_question])
        of_others = of_cells[in_cell] - total[in_question] + inside
        log_others = torch.logaddexp(of_others, even[in_question])
        nats = ((values - means) / DEVIATION).square().sum() / 2
        nats = nats - (own_weight * log_own).sum() - (in_weight * log_others).sum()
        nats.backward()
        return nats

    optimiser.step(loss)
    return values.detach()


def _some(cache: TensorCache, first: int, last: int) -> WorldModelDataset:
    """Timelines of so many customers that about `TRIPS` trips lie in these weeks."""
    every = WorldModelDataset.of_weeks(cache, first, last)
    trips = (every.spans.stop - every.spans.first_target).sum()
    count = max(1, round(len(every) * TRIPS / max(trips, TRIPS)))
    chosen = np.random.default_rng(0).permutation(every.customers)[:count]
    return WorldModelDataset.of_weeks(cache, first, last, np.sort(chosen))
