"""The chances of the next item of a basket, as what really went in next says.

A model that orders products well need not know how sure to be, and what it was calibrated for is
one question: all that is in a basket of which nothing, or most, is known. A simulation asks for one
item after the other, and what it draws too rarely, it then has never bought. So the chances of
products that the customer bought before are tilted by how often and how long ago, each kind of
product has a temperature (Guo et al., On calibration of modern neural networks, 2017), and a share
m is spread evenly over all products (Jelinek and Mercer, Interpolated estimation of Markov source
parameters, 1980):

    p = (1 - m) softmax(log p / T + before (b + c log times + d log(1 + days since))) + m / V

Fitted by maximum likelihood, which makes the expected share of such products, and of their times
and days, what it was; for each of a few numbers of items already in the basket, on the last weeks
of the history, of which the model was not trained on any. Each trip counts with its items put in
one by one, in an order of chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.batches.batch import Questions
from trainer.batches.loaders import EvaluationDataLoader, Hidden
from trainer.batches.masking import MaskedItems
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import TensorCache
from trainer.cache.vocabulary import PAD
from trainer.features.purchase_history import GAPS, Bought
from trainer.model.world_model import WorldModel

WEEKS, TRIPS = 6, 2500
"""The last weeks, and about as many trips in them, that are read."""
PASSES = 2
"""Times that each of these trips is asked about, with other items in the basket."""
IN_BASKET = (1, 2, 4, 8)
"""Where groups of numbers of items begin, after that of none."""
LOWEST, BINS = -24.0, 241
"""Log-probabilities of products that are new to the customer are counted in steps of .1 from here
to 0."""
DEVIATION = 2.0
"""Of weak normal priors on the numbers of a fit: log T of products bought before, and of others, b,
c, d and the log-odds of m."""
MEANS = (0.0, 0.0, 0.0, 0.0, 0.0, -4.6)
"""Their means."""


class ItemCalibration:
    """Log-probabilities of the next item; those of the model where no week is left to learn from.

    Args:
        model: whose logits they are made of.
        cache: the receipts.
        start: the last week that is read.

    Attributes:
        values: (groups, 6) float64 by number of items in the basket, in the order of `MEANS`.
    """

    def __init__(self, model: WorldModel, cache: TensorCache, start: int) -> None:
        self.values = torch.tensor([MEANS[:-1] + (-np.inf,)] * (len(IN_BASKET) + 1))
        first = max(cache.split["train"][1] + 1, start - WEEKS + 1)
        if first > start:
            return
        seen = _Seen()
        dataset = _some(cache, first, start)
        model.eval()
        with torch.no_grad():
            for number in range(PASSES):
                loader = _GrowingLoader(
                    dataset, "next_known", seed=number, tokens=16384, chunk=model.config.chunk
                )
                for batch in loader:
                    seen.record(model(batch).logits, batch.questions)
        self.values = seen.fitted()

    def log_p(self, logits: Tensor, before: Before, in_basket: int) -> Tensor:
        """(n, V) log-probabilities of what is next, from logits (n, V), -inf for what cannot be."""
        values = self.values[int(np.digitize(in_basket, IN_BASKET))].tolist()
        own_t, other_t, *tilt, odds = values
        possible = logits.isfinite()
        scores = logits.log_softmax(1)
        scaled = scores / float(np.exp(other_t))
        own = scores[before.question, before.token] / float(np.exp(own_t))
        scaled[before.question, before.token] = own + before.figures @ own.new_tensor(tilt)
        log_p = scaled.log_softmax(1)
        share = 1 / (1 + np.exp(-odds))
        if share > 0:
            even = (share / possible.sum(1, keepdim=True)).log().to(log_p.dtype)
            log_p = torch.logaddexp(log_p + float(np.log1p(-share)), even)
        return log_p.masked_fill(~possible, -torch.inf)


@dataclass(frozen=True)
class Before:
    """Products that the customers of questions bought before."""

    question: Tensor
    """(E,) int64, ascending."""
    token: Tensor
    """(E,) int64."""
    figures: Tensor
    """(E, 3) float32: 1, log times, log(1 + days since)."""

    @classmethod
    def of(cls, bought: Bought) -> Before:
        """Those of a question's history."""
        days = bought.gaps[:, GAPS.index("days since")]
        figures = [torch.ones_like(days), bought.times.log(), days.clamp_min(0).log1p()]
        return cls(bought.question, bought.token, torch.stack(figures, 1))


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


class _Seen:
    """What went in next, and the scores of all that could have."""

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, ...]] = []
        self._questions = 0

    def record(self, logits: Tensor, questions: Questions) -> None:
        count = len(questions.trip)
        logits = logits[:count].clone()
        logits[:, [PAD, -2, -1]] = -torch.inf  # no products
        items = torch.bincount(questions.question, minlength=count) - 1
        is_item = torch.ones_like(questions.token, dtype=torch.bool)
        is_item[questions.logit[:count]] = False
        of_product = is_item & (questions.token < logits.shape[1])
        logits[questions.question[of_product], questions.token[of_product]] = -torch.inf
        log_p = logits.log_softmax(1)
        before = Before.of(questions.history.products)
        own = log_p[before.question, before.token]
        # One of the hidden items goes in next, each as likely as another; a basket of n items has n
        # such moments, of which one was asked about.
        hidden = torch.bincount(questions.target_question, minlength=count)
        weight = (items + hidden) / hidden.clamp_min(1)
        went_in = torch.zeros_like(log_p)
        where = questions.target_question, questions.target
        went_in.index_put_(where, weight[questions.target_question], accumulate=True)
        own_went_in = went_in[before.question, before.token]
        log_p[before.question, before.token] = -torch.inf
        went_in[before.question, before.token] = 0
        cell = ((log_p / LOWEST).clamp(0, 1) * (BINS - 1)).round().long()
        products, others = torch.zeros(2, count, BINS)
        products.scatter_add_(1, cell, log_p.isfinite().float())
        others.scatter_add_(1, cell, went_in)
        possible = own.isfinite()
        self._parts.append(
            (items, products, others, before.question[possible] + self._questions, own[possible],
             before.figures[possible], own_went_in[possible])
        )  # fmt: skip
        self._questions += count

    def fitted(self) -> Tensor:
        items, products, others, question, own, figures, own_went_in = (
            torch.cat(part) for part in zip(*self._parts, strict=True)
        )
        group = torch.from_numpy(np.digitize(items.numpy(), IN_BASKET))
        found = []
        for number in range(len(IN_BASKET) + 1):
            chosen = group == number
            entries = chosen[question]
            place = chosen.cumsum(0) - 1
            found.append(
                _fit(
                    products[chosen].double(), others[chosen].double(), place[question[entries]],
                    own[entries].double(), figures[entries].double(), own_went_in[entries].double(),
                )
            )  # fmt: skip
        return torch.stack(found)


def _fit(
    products: Tensor, others: Tensor, question: Tensor, own: Tensor, figures: Tensor,
    own_went_in: Tensor,
) -> Tensor:  # fmt: skip
    """A row of `ItemCalibration.values`, (6,): maximum a posteriori.

    products, others (Q, BINS): by score, number of products that are new to the customer, and
    weight of those that went in. Of products bought before (E,): question, score, figures (E, 3)
    and weight.
    """
    scores = torch.linspace(0, LOWEST, BINS, dtype=torch.float64)
    means = torch.tensor(MEANS, dtype=torch.float64)
    values = means.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([values], max_iter=60, line_search_fn="strong_wolfe")
    log_products = products.log()
    number = products.sum(1) + torch.bincount(question, minlength=len(products))

    def loss() -> Tensor:
        optimiser.zero_grad()
        of_own = own / values[0].exp() + figures @ values[2:5]
        of_others = scores / values[1].exp()
        # No score is far from 0: sums of exponentials need no shift.
        total = (of_others + log_products).exp().sum(1).index_add(0, question, of_own.exp()).log()
        inside, even = F.logsigmoid(-values[5]), F.logsigmoid(values[5]) - number.log()
        log_own = torch.logaddexp(of_own - total[question] + inside, even[question])
        log_others = torch.logaddexp(of_others - total[:, None] + inside, even[:, None])
        nats = ((values - means) / DEVIATION).square().sum() / 2
        nats = nats - (own_went_in * log_own).sum() - (others * log_others).sum()
        nats.backward()
        return nats

    if len(products):
        optimiser.step(loss)
    return values.detach()


def _some(cache: TensorCache, first: int, last: int) -> WorldModelDataset:
    """Timelines of so many customers that about `TRIPS` trips lie in these weeks."""
    every = WorldModelDataset.of_weeks(cache, first, last)
    trips = (every.spans.stop - every.spans.first_target).sum()
    count = max(1, round(len(every) * TRIPS / max(trips, TRIPS)))
    chosen = np.random.default_rng(0).permutation(every.customers)[:count]
    return WorldModelDataset.of_weeks(cache, first, last, np.sort(chosen))
