"""Our demand model: trips with a product in a zone and week, given prices, features and traffic.

    trips ~ negative binomial,   mean = traffic x level x exp(x'b)

The level of a product in a zone is what earlier weeks sold for their traffic and their own prices
and features: a ratio of two discounted sums, as of a gamma distribution that each week updates and
the next one widens (Harvey and Fernandes, "Time series models for count or qualitative
observations", Journal of Business & Economic Statistics, 1989):

    level = a / b,   a <- d a + r trips,   b <- d b + r traffic exp(x'b)

Coefficients of price, display and mailer are those of the chain, plus the deviation of the finest
category, plus that of the product. Deviations are normal with covariances estimated from all of
them (empirical Bayes: Laplace's approximation inside EM).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from simulator.prices.panel import Panel
from simulator.prices.regressors import OWN, POOLED, Evidence, regressors

FIRST_WEEKS = 5
"""Weeks from which the levels start; their trips are not scored."""
ROUNDS, STEPS = 3, 25
"""Estimates of the covariances, and steps of L-BFGS between two."""
FIRST_ELASTICITY = -1.5
FIRST_VARIANCE = 0.1
START = 0.3
"""Trips that the level of the first weeks counts for."""
HYPER = (1.0, -0.3, -3.0)
"""Where discount (logit), weight of a week (log) and overdispersion (log) start."""
NUDGE = 1e-3
"""Step of the finite differences of gradients."""
TINY = 1e-9
"""Above 0."""


@dataclass(frozen=True)
class Demand:
    """A fitted model. Read `elasticity` for what a price does, `expected` for what will be sold."""

    evidence: Evidence
    moving: np.ndarray
    """(P,) bool: products whose price has an effect; others have elasticity 0 (evidence)."""
    pooled: np.ndarray
    """Coefficients of `POOLED`."""
    own: np.ndarray
    """(P, 3) coefficients of `OWN` of each product."""
    error: np.ndarray
    """(P, 3) their standard errors, given the pooled coefficients and the covariances."""
    hyper: np.ndarray
    """(3,) as `HYPER`."""

    @property
    def elasticity(self) -> np.ndarray:
        """(P,) change of the log of trips by that of the price, with display and mailer as they
        are; 0 where it is not identified."""
        return np.where(self.moving, self.own[:, 0], 0)

    @property
    def elasticity_error(self) -> np.ndarray:
        """(P,) its standard error; infinite where it is not identified."""
        return np.where(self.moving, self.error[:, 0], np.inf)

    def answer(self, panel: Panel) -> np.ndarray:
        """(P, Z, W) logarithm of what prices and features of each week multiply trips by. Of the
        same products and zones, with any prices and features."""
        x = regressors(panel, self.evidence, self.moving)
        own = sum(x[name] * self.own[:, k, None, None] for k, name in enumerate(OWN))
        return own + sum(x[name] * value for name, value in zip(POOLED, self.pooled, strict=True))

    def level(self, panel: Panel) -> np.ndarray:
        """(P, Z, W) trips per trip of the zone where answer is 0, known before each week."""
        effect = torch.from_numpy(np.exp(self.answer(panel)))
        level, _ = _one_step_ahead(*_counts(panel), effect, torch.from_numpy(self.hyper))
        return level.numpy()

    def expected(self, panel: Panel) -> np.ndarray:
        """(P, Z, W) trips with each product, from the trips of the weeks before and the prices,
        features and traffic of the week."""
        return self.level(panel) * np.exp(self.answer(panel)) * panel.traffic


def fit(panel: Panel, last_week: int, with_prices: bool = True, progress: bool = False) -> Demand:
    """Learn from weeks up to last_week; the panel may have more, which are not read.

    with_prices: False for the price-blind twin, the same model for which no price matters.
    """
    evidence = Evidence.of(panel, last_week)
    moving = evidence.is_identified & with_prices
    problem = _Problem(panel, evidence, moving)
    theta = torch.zeros(len(OWN) + len(POOLED), dtype=torch.float64)
    theta[0] = FIRST_ELASTICITY * with_prices
    of_category = torch.zeros(problem.categories, len(OWN), dtype=torch.float64)
    of_product = torch.zeros(len(panel.token), len(OWN), dtype=torch.float64)
    values = [theta, of_category, of_product, torch.tensor(HYPER, dtype=torch.float64)]
    spreads = [FIRST_VARIANCE * torch.eye(len(OWN), dtype=torch.float64) for _ in range(2)]
    rounds = tqdm(
        range(ROUNDS), desc="demand", unit="round", file=sys.stderr, disable=not progress, delay=3,
        leave=False,
    )  # fmt: skip
    for _ in rounds:
        values = problem.climb(values, spreads)
        spreads, error = problem.spreads(values, spreads)
    theta, of_category, of_product, hyper = values
    own = theta[: len(OWN)] + of_category[problem.category] + of_product
    return Demand(
        evidence, moving, theta[len(OWN) :].numpy(), own.numpy(), error.numpy(), hyper.numpy()
    )


class _Problem:
    """The penalised likelihood. Values are theta (pooled), the categories' deviations (C, 3), the
    products' (P, 3), and the three of `HYPER`."""

    def __init__(self, panel: Panel, evidence: Evidence, moving: np.ndarray) -> None:
        weeks = evidence.last_week
        x = regressors(panel, evidence, moving)
        self._x = torch.from_numpy(np.stack([values[..., :weeks] for values in x.values()]))
        trips, traffic = _counts(panel)
        self._trips, self._traffic = trips[..., :weeks], traffic[..., :weeks]
        found, category = np.unique(panel.category, return_inverse=True)
        self.categories, self.category = len(found), torch.from_numpy(category)

    def loss(self, values: list[Tensor]) -> Tensor:
        """Minus the log-likelihood of trips after the first weeks, up to a constant.

        A price is seen where somebody paid it, so what is scored is the number of trips given
        that there are any. Weeks without would count for the price last seen, which is more often
        a low one, and make elasticities too small.
        """
        theta, of_category, of_product, hyper = values
        answer = torch.einsum("kpzw,k->pzw", self._x, theta)
        deviation = of_category[self.category] + of_product
        answer = answer + torch.einsum("kpzw,pk->pzw", self._x[: len(OWN)], deviation)
        level, size = _one_step_ahead(self._trips, self._traffic, answer.exp(), hyper)
        mean = (self._traffic * level * answer.exp())[..., FIRST_WEEKS:].clamp_min(TINY)
        size = size[..., FIRST_WEEKS:]
        trips = self._trips[..., FIRST_WEEKS:]
        none = size * torch.log(size / (size + mean))
        found = torch.lgamma(trips + size) - torch.lgamma(size)
        found = found + none + trips * torch.log(mean / (size + mean))
        any_ = torch.log(-torch.expm1(none.clamp_max(-TINY)))
        return -((found - any_) * (trips > 0)).sum()

    def climb(self, values: list[Tensor], spreads: list[Tensor]) -> list[Tensor]:
        """Better values, of the likelihood and the deviations' normal densities together."""
        values = [value.clone().requires_grad_() for value in values]
        precisions = [torch.linalg.inv(spread) for spread in spreads]
        start = torch.tensor(HYPER, dtype=torch.float64)
        search = torch.optim.LBFGS(
            values, max_iter=STEPS, history_size=20, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            search.zero_grad()
            theta, of_category, of_product, hyper = values
            loss = self.loss(values) + (theta**2).sum() / 8 + ((hyper - start) ** 2).sum() / 18
            for deviation, precision in zip((of_category, of_product), precisions, strict=True):
                loss = loss + ((deviation @ precision) * deviation).sum() / 2
            loss.backward()
            return loss

        search.step(closure)
        return [value.detach() for value in values]

    def spreads(self, values: list[Tensor], spreads: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Covariances of categories and products in the next round of EM, and the standard errors
        (P, 3) of products' coefficients."""
        _, of_category, of_product, _ = values
        categories, products = spreads
        information = self._information(values)  # (P, 3, 3)
        inverse = torch.linalg.inv
        of_products = inverse(information + inverse(products))
        # What the products of a category tell of it: each its estimate, no surer than they vary.
        small = 1e-6 * torch.eye(len(OWN), dtype=torch.float64)
        told = inverse(inverse(information + small) + products)
        sums = torch.zeros_like(of_category[:, :, None] * of_category[:, None])
        of_categories = inverse(sums.index_add(0, self.category, told) + inverse(categories))
        found = [
            deviation.T @ deviation / len(deviation) + left.mean(0) + 100 * small
            for deviation, left in ((of_category, of_categories), (of_product, of_products))
        ]
        prior = products + of_categories[self.category]
        error = inverse(information + inverse(prior)).diagonal(dim1=1, dim2=2).sqrt()
        return found, error

    def _information(self, values: list[Tensor]) -> Tensor:
        """(P, 3, 3) curvature of the loss in each product's coefficients, by differences of the
        gradient: those of one product touch no other's trips."""
        theta, of_category, of_product, hyper = values

        def gradient(at: Tensor) -> Tensor:
            at = at.clone().requires_grad_()
            return torch.autograd.grad(self.loss([theta, of_category, at, hyper]), at)[0]

        columns = []
        for step in NUDGE * torch.eye(len(OWN), dtype=torch.float64):
            ahead, back = gradient(of_product + step), gradient(of_product - step)
            columns.append((ahead - back) / (2 * NUDGE))
        found = torch.stack(columns, dim=2)
        values, vectors = torch.linalg.eigh((found + found.transpose(1, 2)) / 2)
        return vectors @ torch.diag_embed(values.clamp_min(1e-6)) @ vectors.transpose(1, 2)


def _counts(panel: Panel) -> tuple[Tensor, Tensor]:
    """Trips (P, Z, W) and traffic (Z, W)."""
    return torch.from_numpy(panel.trips), torch.from_numpy(panel.traffic)


def _one_step_ahead(
    trips: Tensor, traffic: Tensor, effect: Tensor, hyper: Tensor
) -> tuple[Tensor, Tensor]:
    """Level, and size of the negative binomial, of each week given those before, (P, Z, W).

    effect: (P, Z, W) exp(x'b).
    """
    discount, weight, dispersion = torch.sigmoid(hyper[0]), hyper[1].exp(), hyper[2].exp()
    exposure = effect * traffic
    first = slice(FIRST_WEEKS)
    rate = (trips[..., first].sum(-1) + START) / (exposure[..., first].sum(-1) + START)
    a = torch.full_like(trips[..., 0], START)
    b = START / rate
    levels, sizes = [], []
    for week in range(trips.shape[-1]):
        levels.append(a / b)
        sizes.append(1 / (1 / a + dispersion))
        a = discount * a + weight * trips[..., week] + TINY
        b = discount * b + weight * exposure[..., week]
    return torch.stack(levels, -1), torch.stack(sizes, -1)
