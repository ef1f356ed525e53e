"""Expected demand as a differentiable function of prices.

    D_i = u_i mean over weeks of
          sum_gz b_giz exp(m_g x_iw) exp(-n m_g I_gzw) (1 + f_i (exp(q_i (r_kw - l_i)+) - 1))

b_giz are the trips with the product in a week of the recent past, of customers of price-sensitivity
segment g in zone z, m_g the segment's factor and u_i the product's units a trip; x, r, q, f (its
`further`) and n are those of `simulator.prices.response` and `simulator.prices.visit_response`, for
prices that change today and are held. So a demand of few weeks knows what customers do at once, one
of many also what they learn: reference prices follow, pantries empty, and whoever finds the usual
basket dear comes less often.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from simulator.prices.absences import rivals
from simulator.prices.demand_response import DemandResponse, trips_of
from simulator.prices.response import KEEPS, MEMORY, PriceResponse
from simulator.prices.visit_response import LEARNING, VisitResponse
from trainer.cache.reader import TensorCache
from trainer.features.shelf_prices import ShelfPriceSettings

SMOOTH = 0.02
"""Log price within which the answer of units bends around the reference price."""
MISFIT = 0.3
"""Standard deviation of log e beside the errors of estimation, where parameters are drawn: how the
formulas differ from a chain's households, which no receipts tell. From a synthetic chain whose
truth is known (benchmarks.price_truth, seed 3); docs/prices.md has what intervals hold in
others."""
RECENT = 13
"""Weeks before the start whose sales are what is expected at today's prices."""
USUAL = 26
"""Weeks before the start whose prices are the usual ones."""


class ExpectedDemand:
    """Demand in the weeks after a start.

    Args:
        cache, response: the receipts, and how demand answers, measured up to the start.
        start: the last week of the history.
        weeks: for which prices are held.
    """

    def __init__(
        self, cache: TensorCache, response: DemandResponse, start: int, weeks: int
    ) -> None:
        self.response, self.start, self.weeks = response, start, weeks
        panel = response.products.panel
        trailing = slice(max(start - ShelfPriceSettings().base_price_weeks, 0), start)
        self.pence = panel.pence[:, :, trailing].max(axis=2)
        """(P, Z) today's prices: the highest of the last weeks, so that a promotion is none."""
        recent = slice(max(start - RECENT, 0), start)
        trips, units = (x[:, :, recent].sum((1, 2)) for x in (panel.trips, panel.units))
        self._units = torch.tensor(units / np.maximum(trips, 1))
        base, spend = [], []
        for label in range(len(response.groups)):
            chosen = response.segment == label
            found = trips_of(cache, panel, chosen, start)[:, :, recent].mean(2)
            base.append(found)
            spend.append(found * self.pence)
        self._base = torch.tensor(np.stack(base))  # (G, P, Z)
        cost = np.stack(spend)
        self._basket = torch.tensor(cost / np.maximum(cost.sum(1, keepdims=True), 1e-9))
        self._factor = torch.tensor(response.groups)
        self._memory = _memory(weeks)

    def typical_pence(self) -> np.ndarray:
        """(P,) today's prices, the mean over zones by recent sales."""
        trips = self._base.sum(0).numpy() + 1e-9
        return (self.pence * trips).sum(1) / trips.sum(1)

    def usually(self, pence: np.ndarray) -> np.ndarray:
        """(P,) the mean of (P, Z or 1, W) over what was sold in the last `USUAL` weeks, as far as
        it is known then; NaN where nothing was."""
        past = slice(max(self.start - USUAL, 0), self.start)
        pence = pence[:, :, past]
        units = self.response.products.panel.units[:, :, past] * np.isfinite(pence)
        sold = units.sum((1, 2))
        return np.where(sold > 0, (units * np.nan_to_num(pence)).sum((1, 2)), np.nan) / sold.clip(1)

    def without_visits(self) -> ExpectedDemand:
        """The same demand of customers who come as often whatever prices are."""
        other = copy(self)
        other.response = replace(self.response, visits=VisitResponse(0.0, 0.0))
        return other

    def units(
        self, change: Tensor, draw: Parameters | None = None, missing: np.ndarray | None = None
    ) -> Tensor:
        """(P,) units a week, the mean over the weeks.

        change: (P,) logs of new prices over today's. draw: other parameters than the estimates.
        missing: (P,) bool, products that are not on sale; none if left out.
        """
        r = self.response.products
        at = draw or Parameters.estimated(self.response)
        change = change * torch.tensor(r.moved)
        need, share = torch.tensor(r.need), torch.tensor(r.share)
        kept = torch.ones_like(share) if missing is None else self._without(missing)
        share = share * (kept > 0)
        share = share / _by(need, share).clamp(min=1e-12)[need]
        appeal = -at.switching * change
        odds = share * appeal.exp()
        total = _by(need, odds).clamp(min=1e-12)
        price = (_by(need, odds * change) / total)[need, None]
        followed, left, learnt = self._memory
        gap = change[:, None] - price * followed
        more = torch.tensor(r.further)[:, None] * torch.expm1(-at.quantity[:, None] * _below(gap))
        beyond = _by(need, odds[:, None] * more) / total[:, None]
        x = (appeal - r.switches * total.log()[need] - at.lasting * change)[
            :, None
        ] - at.passing * gap
        x = x - at.stocking * (beyond @ left)[need]
        level = torch.einsum("gpz,p->gz", self._basket, change)
        comes = (-at.visits * self._factor[:, None, None] * level[:, :, None] * learnt).exp()
        answer = (self._factor[:, None, None] * x).exp() * (1 + more)
        found = torch.einsum("gpz,gzw,gpw->p", self._base, comes, answer)
        return found / self.weeks * self._units * kept

    def _without(self, missing: np.ndarray) -> Tensor:
        """(P,) by which trips are multiplied where some products are missing, (P,) bool."""
        group, gone = torch.tensor(rivals(self.response.products)), torch.tensor(missing)
        trips = self._base.sum((0, 2))
        lost, left = _by(group, trips * gone), _by(group, trips * ~gone)
        gain = self.response.instead.value * lost / left.clamp(min=1e-9)
        return ~gone * (1 + gain[group])


def _by(group: Tensor, x: Tensor) -> Tensor:
    """Sums of x (P, ...) over groups (P,), numbered from 0."""
    return x.new_zeros(int(group.max()) + 1, *x.shape[1:]).index_add(0, group, x)


def _below(gap: Tensor) -> Tensor:
    """The smaller of a gap and 0, smooth there, so that the slope at today's prices is the mean of
    those of a rise and of a cut; 0 at 0."""
    return -SMOOTH * (torch.nn.functional.softplus(-gap / SMOOTH) - np.log(2))


def _memory(weeks: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of prices that change and are held, before each week (W,): how far the reference price has
    followed, and what customers have learnt, each times the change; and (W, W) how much of what a
    week brought is left before each week. As `simulator.prices.response.before_each_week` and
    `simulator.prices.visit_response.learn` say."""
    week = torch.arange(weeks, dtype=torch.float64)
    left = (1 - MEMORY) ** week
    ago = week[:, None] - week
    kept = torch.where(ago > 0, KEEPS ** ago.clamp(min=0), 0.0)
    return 1 - left, kept.T, 1 - (1 - LEARNING) ** week


class Parameters:
    """Values of the parameters that demand depends on, tensors."""

    def __init__(self, switching, of_need, quantity, visits) -> None:
        self.switching, self.quantity = torch.tensor(switching), torch.tensor(quantity)
        self.lasting, self.passing, self.stocking = (float(x) for x in of_need)
        self.visits = float(visits)

    @classmethod
    def estimated(cls, response: DemandResponse) -> Parameters:
        """The estimates."""
        r = response.products
        of_need = r.lasting, r.passing, r.stocking
        return cls(r.switching, of_need, r.quantity, response.visits.value)

    @classmethod
    def drawn(cls, response: DemandResponse, rng: np.random.Generator) -> Parameters:
        """A draw from what is left open: normal, with the estimates' errors, and `MISFIT` of e."""
        r: PriceResponse = response.products
        switching = r.switching * np.exp(rng.normal(0, np.hypot(MISFIT, r.switching_error)))
        of_need = rng.multivariate_normal(
            [r.lasting, r.passing, r.stocking], r.common_error[:3, :3]
        )
        quantity = r.quantity + rng.normal(0, r.quantity_error) * r.moved
        if any(r.shift_error):
            within, between = rng.normal(0, r.shift_error)
            switching = np.maximum(switching + (within - between) * r.moved, 0)
            of_need[0] += between
        visits = max(rng.normal(response.visits.value, response.visits.error), 0.0)
        return cls(switching, of_need, quantity, visits)
