"""Whether prices followed demand, as costs tell, and elasticities of which that is taken out.

A retailer who sees demand coming and prices by it makes sales and prices move together, and what
sales did when a price moved is then no answer to it. What suppliers charge moves prices and not
demand: a control function (Petrin and Train, A control function approach to endogeneity in consumer
choice models, 2010; Wooldridge, Control function methods in applied econometrics, 2015):

    D = z'pi + place + group x week + r                              first stage, least squares
    log E[trips] = o - k D + rho r + place + group x week            Poisson regression

o is what the response expects but for levels, k what it is off by, z the log unit costs, of the
week and the mean of the last `SLOW`, put together as D is. rho is 0 where prices did not follow
demand. Places are products in zones. It is asked twice:

- products of a need beside each other, D = l_i - l_k, in a finest category: e + v is off by k;
- needs beside each other, D = l_k, the need's mean price, in a department: v is off by k.

Levels of groups are free in every week in place of wandering, for costs move too slowly to be told
from levels that wander.

Errors are those of independent finest categories, whose needs share levels; that r is estimated is
in them (Murphy and Topel, Estimation and inference in two-step econometric models, 1985).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t

from simulator.prices.response import PriceResponse, known_cells

SLOW = 13
"""Weeks of the slower of both costs: prices follow costs late."""
LEAST_F = 10.0
"""Of the first stage; a weaker instrument says nothing (Staiger and Stock, Instrumental variables
regression with weak instruments, 1997)."""
CLEAR = 0.975
"""Quantile of the t distribution from which on a coefficient counts as clearly not 0."""
ROUNDS, STEPS, CLOSE = 30, 20, 1e-4
"""Of taking out levels and of Newton's method, at most; the last step of which is that small."""
TINY = 1e-9


@dataclass(frozen=True)
class Contrast:
    """What an instrument says of one elasticity, with standard errors."""

    strength: float
    """F of the instruments in the first stage; 0 where they do not move at all."""
    shift: float
    """k, by which the elasticity is larger than without the instrument, and its error."""
    shift_error: float
    residual: float
    """rho, and its error."""
    residual_error: float
    categories: int
    """How many finest categories errors are known from."""

    @property
    def is_strong(self) -> bool:
        """Whether costs move prices enough to tell anything."""
        return self.strength >= LEAST_F

    @property
    def is_used(self) -> bool:
        """An elasticity stays where prices did not clearly follow demand, or where it is not
        clearly off: the shift would only add its own error."""
        clear = float(t.ppf(CLEAR, self.categories - 1)) if self.is_strong else np.inf
        pairs = (self.shift, self.shift_error), (self.residual, self.residual_error)
        return all(abs(value) > clear * error for value, error in pairs)


NOTHING = Contrast(0.0, 0.0, 0.0, 0.0, 0.0, 0)


@dataclass(frozen=True)
class Instrument:
    """What was found."""

    within: Contrast
    """Of the products of a need beside each other."""
    between: Contrast
    """Of needs beside each other; `NOTHING` where they cannot be told."""
    without: PriceResponse
    """The response as it is without the instrument."""


def instrumented(r: PriceResponse, costs: np.ndarray) -> tuple[PriceResponse, Instrument]:
    """The response, corrected where costs show it to be off, and what they said.

    costs: (P, W) pence of a unit in the weeks that the response was fitted to; NaN where unknown.
    """
    data = _Data(r, costs)
    category, department = r.panel.category, r.panel.department
    within = data.contrast(lambda x: x - r.switches * data.of_need(x), category)
    between = data.contrast(data.of_need, department) if r.switches else NOTHING
    told = Instrument(within, between, r)
    of_within, of_between = (each.shift * each.is_used for each in (within, between))
    if not of_within and not of_between:
        return r, told
    shift = of_within - of_between
    found = replace(
        r, switching=np.maximum(r.switching + shift, 0) * r.moved,
        typical=float(np.log(max(np.exp(r.typical) + shift, TINY))),
        lasting=r.lasting + of_between,
        shift_error=(within.shift_error * within.is_used, between.shift_error * between.is_used),
    )  # fmt: skip
    return found, told


class _Data:
    """Cells (n,) of products, zones and weeks whose price and cost are known."""

    def __init__(self, r: PriceResponse, costs: np.ndarray) -> None:
        last_week = costs.shape[1]
        on_sale, plain, truncated = known_cells(r.panel, last_week)
        known = np.isfinite(costs)
        weeks = np.maximum(known.sum(1, keepdims=True), 1)
        log = np.log(np.where(known, costs, 1))
        log = np.where(known, log - log.sum(1, keepdims=True) / weeks, 0)
        moved = r.moved[:, None, None]
        shape = r.price.shape
        self.price = r.price * moved
        self.costs = [
            np.broadcast_to(x[:, None] * moved, shape) for x in (log, _mean_to(log, known))
        ]
        self.need = r.need
        _, self.category = np.unique(r.panel.category, return_inverse=True)
        self.odds = r.share[:, None, None] * np.exp(-r.switching[:, None, None] * self.price)
        self.odds = self.odds * (on_sale & known[:, None])
        traffic = np.log(np.maximum(r.panel.traffic[:, :last_week], 1e-3))
        self.at = np.nonzero((plain | truncated) & moved & known[:, None])
        self.trips = r.panel.trips[:, :, :last_week][self.at]
        self.truncated = np.broadcast_to(truncated, shape)[self.at]
        self.offset = (r.effect + traffic)[self.at]

    def of_need(self, x: np.ndarray) -> np.ndarray:
        """(P, Z, W) the mean over the need of (P, Z, W), by what is bought at the prices."""
        total, weight = np.zeros((2, int(self.need.max()) + 1, *x.shape[1:]))
        np.add.at(total, self.need, self.odds * x)
        np.add.at(weight, self.need, self.odds)
        return (total / np.maximum(weight, TINY))[self.need]

    def contrast(self, part, group: np.ndarray) -> Contrast:
        """part: makes D of prices (P, Z, W), and z of costs. group: (P,), of levels by week."""
        product, zone, week = self.at
        _, group = np.unique(group, return_inverse=True)
        place = product * self.price.shape[1] + zone
        levels = [place, group[product] * self.price.shape[2] + week]
        # Where nothing was ever sold, a level has no end.
        kept = np.all([np.bincount(x, self.trips)[x] > 0 for x in levels], axis=0)
        levels = [np.unique(x[kept], return_inverse=True)[1] for x in levels]
        cluster = self.category[product][kept]
        fit = _Poisson(self.trips[kept], self.truncated[kept], self.offset[kept], levels)
        d = -part(self.price)[self.at][kept]
        z = np.stack([part(x)[self.at][kept] for x in self.costs], axis=1)
        clusters = len(np.unique(cluster))
        if clusters <= 1 + len(self.costs) or not fit.to(d[:, None]):
            return NOTHING
        first, weight = fit.within(np.column_stack([d, z])), fit.weight
        z = first[:, 1:]
        z = z[:, (weight[:, None] * z**2).sum(0) > TINY * weight.sum()]
        if not z.shape[1]:
            return NOTHING
        inner = np.linalg.pinv((z * weight[:, None]).T @ z)
        pi = inner @ (z.T @ (weight * first[:, 0]))
        r = first[:, 0] - z @ pi
        of_pi = _by(cluster, z * (weight * r)[:, None]) @ inner
        strength = pi @ np.linalg.pinv(of_pi.T @ of_pi) @ pi / len(pi) * (1 - len(pi) / clusters)
        if not fit.to(np.column_stack([d, r])):
            return NOTHING
        off = _by(cluster, fit.x * fit.rest[:, None])
        off += fit.beta[1] * of_pi @ (z * fit.weight[:, None]).T @ fit.x
        covariance = fit.inner @ (off.T @ off) @ fit.inner
        shift, residual = fit.beta
        errors = np.sqrt(covariance.diagonal() * clusters / (clusters - 1))
        # of the residual of D, not of -D
        return Contrast(
            float(strength), float(shift), float(errors[0]), -float(residual), float(errors[1]),
            clusters,
        )  # fmt: skip


class _Poisson:
    """Poisson regression with levels of many groups (Correia, Guimaraes and Zylkin, Fast Poisson
    estimation with high-dimensional fixed effects, 2020); truncated at zero in some cells."""

    def __init__(self, y, truncated, offset, levels) -> None:
        self.y, self.truncated, self.offset, self.levels = y, truncated, offset, levels
        self.predictor = np.log(np.maximum(y, 0.1))
        self._expect()

    def to(self, x: np.ndarray) -> bool:
        """Fit to regressors (n, k); whether they move at all beside the levels."""
        self.beta = np.zeros(x.shape[1])
        for _ in range(STEPS):
            work = self.predictor - self.offset + self.rest / self.weight
            both = self.within(np.column_stack([work, x]))
            self.x = both[:, 1:]
            information = (self.x * self.weight[:, None]).T @ self.x
            if information.diagonal().min() < TINY * self.weight.sum():
                return False
            self.inner = np.linalg.pinv(information)
            before = self.beta
            self.beta = self.inner @ (self.x.T @ (self.weight * both[:, 0]))
            self.predictor = self.offset + work - (both[:, 0] - self.x @ self.beta)
            self._expect()
            if np.abs(self.beta - before).max() < CLOSE:
                break
        return True

    def _expect(self) -> None:
        mean = np.exp(np.clip(self.predictor, -20, 20))
        some = np.where(self.truncated, mean / -np.expm1(-mean), mean)
        self.rest = self.y - some
        self.weight = np.where(self.truncated, some * (1 + mean - some), mean).clip(TINY)

    def within(self, x: np.ndarray) -> np.ndarray:
        """(n, k) what levels do not explain."""
        x, w = x.copy(), self.weight
        totals = [np.bincount(level, w) for level in self.levels]
        for _ in range(ROUNDS):
            for level, total in zip(self.levels, totals, strict=True):
                for column in x.T:
                    column -= (np.bincount(level, w * column) / total)[level]
        return x


def _by(group: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(groups, k) sums of (n, k)."""
    return np.stack([np.bincount(group, column) for column in x.T], axis=1)


def _mean_to(x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(P, W) means over the last `SLOW` known weeks up to each, and with it."""
    week = np.arange(x.shape[1])
    first = np.maximum(week - SLOW + 1, 0)

    def total(values: np.ndarray) -> np.ndarray:
        sums = np.pad(values.cumsum(1), ((0, 0), (1, 0)))
        return sums[:, week + 1] - sums[:, first]

    return total(x) / np.maximum(total(known.astype(float)), 1)
