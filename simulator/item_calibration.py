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

import numpy as np
import torch
from torch import Tensor

from simulator.draws import uniforms
from simulator.item_figures import Assortment, Before
from simulator.item_fit import IN_BASKET, Numbers, Seen, prior_means
from simulator.item_moments import Moments, moments, some_customers
from simulator.season import CategorySeason
from trainer.cache.reader import TensorCache
from trainer.model.world_model import WorldModel

WEEKS = 6
"""The last weeks, which are read."""
PASSES = 2
"""Times that each of their trips is asked about, with other items in the basket."""
STRAYS = 11
"""What a number is drawn for."""
EVIDENCE = 20.0
"""Items expected of a category, and of a product, that count as much as what went in of it."""


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
        plain = prior_means()
        plain[2] = -torch.inf
        self.values = plain.repeat(len(IN_BASKET) + 1, 1)
        self.tilt = torch.zeros(cache.vocabulary.size)
        self._season = CategorySeason(cache, start, self.assortment.levels[0].numpy())
        first = max(cache.split["train"][1] + 1, start - WEEKS + 1)
        if first > start:
            return
        seen = Seen(self.assortment)
        dataset = some_customers(cache, first, start)
        for number in range(PASSES):
            for each in moments(model, dataset, number, self.assortment):
                seen.record(each)
        self.values = seen.fitted()
        expected, went_in = torch.zeros(2, cache.vocabulary.size)
        for each in moments(model, dataset, PASSES, self.assortment):
            expected += self._expected(each)
            went_in.index_add_(0, each.token, each.weight)
        self.tilt = _tilt(expected, went_in, self.assortment.levels[0], _is_new(cache))

    def in_week(self, week: int, seed: int) -> Tensor:
        """(V,) float32, what is added to scores in a week of a run: the season of categories, and
        how far they stray from it, one half in this week alone and one in all weeks of the run."""
        category, spread = self.assortment.levels[0], self._season.spread / np.sqrt(2)
        rows = np.arange(int(category.max()) + 1)
        u = uniforms(seed, STRAYS, rows), uniforms(seed, STRAYS, rows, week)
        stray = sum(torch.special.ndtri(torch.from_numpy(each)) for each in u) * spread
        return (torch.from_numpy(self._season.difference(week)) + stray)[category].float()

    def _expected(self, baskets: Moments) -> Tensor:
        """(V,) how often products are expected to go in."""
        total = torch.zeros(baskets.logits.shape[1])
        group = torch.from_numpy(np.digitize(baskets.items.numpy(), IN_BASKET))
        for number in group.unique().tolist():
            own = baskets.take((group == number).nonzero().squeeze(1))
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
        numbers = Numbers.of(self.values[int(np.digitize(in_basket, IN_BASKET))].float())
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
