"""The chances of the next item of a basket, as what really went in next says.

A model that orders products well need not know how sure to be, and what it was calibrated for is
one question: all that is in a basket of which nothing, or most, is known. A simulation asks for one
item after the other, and what it draws too rarely, it then has never bought. So the
log-probabilities of products are divided by a temperature T (Guo et al., On calibration of modern
neural networks, 2017), those that the customer bought before are raised by b, and a share m is
spread evenly over all (Jelinek and Mercer, Interpolated estimation of Markov source parameters,
1980):

    p = (1 - m) softmax(log p / T + b [bought before]) + m / V

T, b and m are fitted by maximum likelihood for each of a few numbers of items already in the
basket, on the last weeks of the history, of which the model was not trained on any: each trip
counts with its items put in one by one, in an order of chance.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainer.batches.loaders import EvaluationDataLoader, Hidden
from trainer.batches.masking import MaskedItems
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import TensorCache
from trainer.cache.vocabulary import PAD
from trainer.model.world_model import WorldModel

WEEKS, TRIPS = 6, 3000
"""The last weeks, and about as many trips in them, that are read."""
PASSES = 3
"""Times that each of these trips is asked about, with other items in the basket."""
IN_BASKET = (1, 2, 4, 8)
"""Where groups of numbers of items begin, after that of none."""
LOWEST, BINS = -24.0, 241
"""Log-probabilities are counted in steps of .1 from here to 0."""
DEVIATION = 2.0
"""Of weak normal priors on log T, b and the log-odds of m, whose means are 0, 0 and -4.6."""
MEANS = (0.0, 0.0, -4.6)


class ItemCalibration:
    """Log-probabilities of the next item; those of the model where no week is left to learn from.

    Args:
        model: whose logits they are made of.
        cache: the receipts.
        start: the last week that is read.

    Attributes:
        values: (groups, 3) float64 log T, b and the log-odds of m by number of items in the basket.
    """

    def __init__(self, model: WorldModel, cache: TensorCache, start: int) -> None:
        self.values = torch.tensor([MEANS[:2] + (-np.inf,)] * (len(IN_BASKET) + 1))
        first = max(cache.split["train"][1] + 1, start - WEEKS + 1)
        if first > start:
            return
        counts = _Counts()
        dataset = _some(cache, first, start)
        model.eval()
        with torch.no_grad():
            for number in range(PASSES):
                loader = _GrowingLoader(
                    dataset, "next_known", seed=number, tokens=16384, chunk=model.config.chunk
                )
                for batch in loader:
                    counts.record(model(batch).logits, batch.questions)
        self.values = counts.fitted()

    def log_p(self, logits: Tensor, is_own: Tensor, in_basket: int) -> Tensor:
        """(n, V) log-probabilities, from logits (n, V), -inf for what cannot be next; is_own (n, V)
        bool: bought before."""
        log_t, b, odds = self.values[int(np.digitize(in_basket, IN_BASKET))]
        possible = logits.isfinite()
        # float32 is enough for a draw, and half the work on large catalogues.
        scores = logits.log_softmax(1).div(float(log_t.exp())).add_(is_own, alpha=float(b))
        log_p = scores.log_softmax(1)
        share = odds.sigmoid()
        if share > 0:
            even = (share / possible.sum(1, keepdim=True)).log().to(log_p.dtype)
            log_p = torch.logaddexp(log_p + float((1 - share).log()), even)
        return log_p.masked_fill(~possible, -torch.inf)


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


class _Counts:
    """Histograms of products and of what went in next, by log-probability and bought before."""

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, ...]] = []

    def record(self, logits: Tensor, questions) -> None:
        count = len(questions.trip)
        logits = logits[:count].clone()
        logits[:, [PAD, -2, -1]] = -torch.inf  # no products
        items = torch.bincount(questions.question, minlength=count) - 1
        is_item = torch.ones_like(questions.token, dtype=torch.bool)
        is_item[questions.logit[:count]] = False
        of_product = is_item & (questions.token < logits.shape[1])
        logits[questions.question[of_product], questions.token[of_product]] = -torch.inf
        bought = questions.history.products
        own = torch.zeros(logits.shape, dtype=torch.bool)
        own[bought.question, bought.token] = True
        log_p = logits.log_softmax(1)
        cell = ((log_p / LOWEST).clamp(0, 1) * (BINS - 1)).round().long() + BINS * own
        products = logits.new_zeros(count, 2 * BINS)
        products.scatter_add_(1, cell, log_p.isfinite().to(products.dtype))
        hidden = torch.bincount(questions.target_question, minlength=count)
        went_in = torch.zeros_like(products)
        # One of the hidden items goes in next, each as likely as another; a basket of n items has n
        # such moments, of which one was asked about.
        weight = ((items + hidden) / hidden.clamp(1)).to(products.dtype)
        where = questions.target_question, cell[questions.target_question, questions.target]
        went_in.index_put_(where, weight[questions.target_question], accumulate=True)
        chosen = hidden > 0
        self._parts.append((items[chosen], products[chosen], went_in[chosen]))

    def fitted(self) -> Tensor:
        items, products, went_in = (torch.cat(part) for part in zip(*self._parts, strict=True))
        group = torch.from_numpy(np.digitize(items.numpy(), IN_BASKET))
        return torch.stack(
            [
                _fit(products[group == number].double(), went_in[group == number].double())
                for number in range(len(IN_BASKET) + 1)
            ]
        )


def _fit(products: Tensor, went_in: Tensor) -> Tensor:
    """log T, b and the log-odds of m, (3,): maximum a posteriori."""
    scores = torch.linspace(0, LOWEST, BINS, dtype=torch.float64).repeat(2)
    own = torch.arange(2 * BINS) >= BINS
    means = torch.tensor(MEANS, dtype=torch.float64)
    values = means.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([values], max_iter=100, line_search_fn="strong_wolfe")
    log_products = products.log()

    def loss() -> Tensor:
        optimiser.zero_grad()
        scaled = scores / values[0].exp() + values[1] * own
        total = (scaled + log_products).logsumexp(1, keepdim=True)
        even = torch.nn.functional.logsigmoid(values[2]) - products.sum(1, keepdim=True).log()
        log_p = torch.logaddexp(scaled - total + torch.nn.functional.logsigmoid(-values[2]), even)
        prior = ((values - means) / DEVIATION).square().sum() / 2
        nats = prior - (went_in * log_p).sum()
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
