"""The numbers by which chances of the next item are tilted, from what went in next."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from simulator.item_figures import ALL, BEFORE, Assortment, of_all
from simulator.item_moments import Moments

IN_BASKET = (1, 2, 4, 8)
"""Where groups of numbers of items begin, after that of none."""
LOWEST, BINS = -24.0, 241
"""Log-probabilities of products that are new to the customer are counted in steps of .1 from here
to 0."""
LEAST_SHARE, SHARES = -13, 14
"""Their log shares of sales, in steps of 1."""
DEVIATION = 2.0
"""Of weak normal priors on the weights, the logarithms of temperatures and the log-odds of m, with
means 0, and `PRIOR_LOG_ODDS` for m."""
PRIOR_LOG_ODDS = -4.6


class Numbers(NamedTuple):
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
    def of(cls, values: Tensor) -> Numbers:
        """Those of a row of `ItemCalibration.values`."""
        log_own_t, log_other_t, odds = values[:3]
        weights = values[3:].split((len(BEFORE), len(ALL), len(ALL)))
        return cls(log_own_t, log_other_t, odds, *weights)


def prior_means() -> Tensor:
    """(numbers,) float64, under which a model's chances stay as they are but for m."""
    means = torch.zeros(3 + len(BEFORE) + 2 * len(ALL), dtype=torch.float64)
    means[2] = PRIOR_LOG_ODDS
    return means


class Seen:
    """What went in next, and the scores of all that could have."""

    def __init__(self, assortment: Assortment) -> None:
        self._assortment = assortment
        self._share = (assortment.log_share.round().long() - LEAST_SHARE).clamp(0, SHARES - 1)
        self._parts: list[tuple[Tensor, ...]] = []
        self._questions = 0

    def record(self, moments: Moments) -> None:
        """Take in what went in then."""
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
            [before.figures, of_all(of_own, self._assortment.log_share[before.token])], 1
        )
        self._parts.append(
            (moments.items, *_sparse(products, self._questions), *_sparse(others, self._questions),
             before.question[possible] + self._questions, own[possible], figures[possible],
             own_went_in[possible])
        )  # fmt: skip
        self._questions += count

    def fitted(self) -> Tensor:
        """(groups, numbers) float64, as `ItemCalibration.values`: maximum a posteriori."""
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


def _sparse(counts: Tensor, first: int) -> tuple[Tensor, Tensor, Tensor]:
    """Question, cell and count of what is not 0."""
    question, cell = counts.nonzero(as_tuple=True)
    return question + first, cell, counts[question, cell]


def _fit(
    questions: int, products: tuple[Tensor, ...], others: tuple[Tensor, ...],
    own: tuple[Tensor, ...],
) -> Tensor:  # fmt: skip
    """A row of `ItemCalibration.values`: maximum a posteriori.

    products, others: question, cell and, of products that are new to the customer, how many there
    are, and the weight of those that went in. own: question, score, figures and weight of products
    bought before.
    """
    means = prior_means()
    if not questions:
        return means
    values = means.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([values], max_iter=80, line_search_fn="strong_wolfe")
    cells = torch.arange(3 * SHARES * BINS)
    score = cells % BINS / (BINS - 1) * LOWEST
    rest = cells // BINS
    of_cell = of_all(rest // SHARES, (rest % SHARES + LEAST_SHARE).float()).double()
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
        numbers = Numbers.of(values)
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
