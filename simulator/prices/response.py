"""How demand answers to prices: a model of trips with each product, by zone and week.

    log E[trips_izw] = a_iz + c_gw + u_iw + log traffic_zw + x_izw
    x = A_i - V_k - v l_i - d (l_i - r_k) - p S_k,    A_i = -e_i l_i + f display + m mailer

l is the log price relative to the usual, g the product's finest category, k its need
(`simulator.prices.needs`). Three effects of a price are told apart:

- *switching* within the need: V_k = log sum_j s_j exp(A_j), s the shares at usual prices, is the
  inclusive value of a nested logit (McFadden, Modelling the choice of residential location,
  1978): what one product loses the others of the need gain, before
- *buying in the need at all*: v to a lasting change, and d as far as the price differs from the
  reference price r, a moving average of what the need cost (Mazumdar, Raj and Sinha, Reference
  price research, 2005);
- *stocking up*: of what is cheaper than the reference price a trip brings exp(q_i (r_k - l_i))
  times the units beyond the first; S, what the weeks before brought of the need beyond its usual
  units, lowers demand by p a unit. What stays cheap within its need is stocked up, and paid back,
  all the time.

Display and mailer, shares of a zone's trips that saw them, are of sources that know them.

Levels wander: c and u are random walks, so that only quick changes of prices, such as promotions
and new regular prices, tell of their effect, and not what a manager does about demand that rises or
falls slowly. What the whole category does in a week is in c and teaches nothing about e.

A week in which nobody bought a product shows no price. Where another zone does, it counts as it is;
where none does, weeks without a sale are left out, and those with one count as what is known of a
number of trips given that there are any (a Poisson distribution truncated at zero).

log e_i are drawn from a normal distribution, whose mean and variance are estimated (empirical
Bayes, by expectation and maximisation with Laplace's approximation): a product whose price says
little has the elasticity of a typical one, and wide bounds.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from tqdm import tqdm

from simulator.prices.needs import Needs
from simulator.prices.panel import Panel

MEMORY = 0.12
"""Weight of a week in the reference price."""
KEEPS = 0.7
"""Share of what was stocked up that is left a week later."""
CATEGORY_STEP, PRODUCT_STEP = 0.1, 0.01
"""Standard deviations of the weekly steps of c and u."""
LEVEL = 0.5
"""Of c and u themselves, so that they have a place to return to."""
SPREAD = 0.3
"""First guess of the standard deviation of log e."""
ROUNDS = 3
"""Of expectation and maximisation."""
SLOW = 3
"""Seconds after which a progress bar appears."""
MOST = 5.0
"""Largest elasticity of units."""
MOVED = 0.02
"""Standard deviation of a product's log price, in at least one zone, below which it never moved."""


@dataclass(frozen=True)
class PriceResponse:
    """Estimates for P products; all effects are elasticities of trips with a product."""

    panel: Panel
    need: np.ndarray
    """(P,) from 0."""
    substitutes: float
    """As of `Needs`, and `switches` whether that suffices to tell what replaces what."""
    switches: bool
    share: np.ndarray
    """(P,) share of the need at usual prices."""
    moved: np.ndarray
    """(P,) bool: whether its price moved enough for it to have an elasticity of its own."""
    switching: np.ndarray
    """(P,) e; 0 where the price never moved."""
    switching_error: np.ndarray
    """(P,) standard error of log e."""
    typical: float
    """Mean of log e, and `spread` its standard deviation among products."""
    spread: float
    lasting: float
    """v; 0 where needs cannot be told, and e is all that a lasting change does."""
    passing: float
    """d"""
    stocking: float
    """p"""
    display: float
    """f: log weight in the choice; 0 where the source knows of none, and `mailer`, m."""
    mailer: float
    common_error: np.ndarray
    """(5, 5) covariance of v, d, p, f and m; 0 for what is not estimated."""
    quantity: np.ndarray
    """(P,) q: elasticity of the units beyond a trip's first to a price below the reference price,
    at least 0."""
    quantity_error: np.ndarray
    """(P,) its standard error."""
    further: np.ndarray
    """(P,) share of the units that are beyond the first of a trip, at usual prices."""
    price: np.ndarray
    """(P, Z, W) l."""
    effect: np.ndarray
    """(P, Z, W) x."""
    wander: np.ndarray
    """(P, Z, W) c + u + log traffic; very small where a product was not on sale."""
    shift_error: tuple[float, float] = (0.0, 0.0)
    """Standard errors of what an instrument has moved e + v of all products and v by."""


@dataclass
class _Data:
    """Tensors of a panel up to a week; float64."""

    trips: Tensor
    price: Tensor
    on_sale: Tensor
    """(P, 1, W) 1 or 0, and `plain` and `truncated` (P, Z, W): as `known_cells` tells."""
    plain: Tensor
    truncated: Tensor
    traffic: Tensor
    """(Z, W) logarithms."""
    need: Tensor
    category: Tensor
    share: Tensor
    switches: bool
    """Whether V counts."""
    announced: Tensor
    """(2, P, Z, W) display and mailer."""


def fit_response(panel: Panel, price: np.ndarray, needs: Needs, last_week: int) -> PriceResponse:
    """Fit to the weeks of a panel up to one.

    price: (P, Z, last_week) log prices relative to the usual, of `relative_prices`. needs: of
    `find_needs`; where they cannot be told, V is 0: what a product loses goes nowhere in
    particular.
    """
    need = needs.need
    trips = panel.trips[:, :, :last_week]
    on_sale, plain, truncated = known_cells(panel, last_week)
    total = trips.sum((1, 2)) + 1.0
    share = total / np.bincount(need, total)[need]
    weeks_on_sale = np.maximum(on_sale.sum(2), 1)
    moved = np.sqrt((price**2 * on_sale).sum(2) / weeks_on_sale).max(1) > MOVED
    _, category = np.unique(panel.category, return_inverse=True)
    data = _Data(
        torch.tensor(trips, dtype=torch.float64), torch.tensor(price * moved[:, None, None]),
        torch.tensor(on_sale, dtype=torch.float64),
        torch.tensor(plain, dtype=torch.float64), torch.tensor(truncated, dtype=torch.float64),
        torch.tensor(panel.traffic[:, :last_week]).clamp(min=1e-3).log(),
        torch.tensor(need), torch.tensor(category), torch.tensor(share), needs.can_tell,
        torch.tensor(np.stack([panel.display, panel.mailer])[..., :last_week]),
    )  # fmt: skip
    model = _Model(data)
    for _ in tqdm(range(ROUNDS), desc="demand", unit="round", delay=SLOW, file=sys.stderr):
        below = (model.reference() - price).clip(min=0)
        quantity, quantity_error, further = _quantity(panel, below, last_week)
        model.quantity, model.further = torch.tensor(quantity * moved), torch.tensor(further)
        model.fit()
        error = model.switching_errors()
        model.reestimate(error, moved)
    typical, spread = model.typical, model.spread
    # The mean of a lognormal distribution, not its median.
    switching = np.where(moved, np.exp(model.log_e.detach().numpy() + error**2 / 2), 0.0)
    return PriceResponse(
        panel, need, needs.substitutes, needs.can_tell, share, moved, switching, error, typical,
        spread,
        *(float(x) for x in model.common.detach()), model.common_errors(), quantity * moved,
        quantity_error, further, price, *model.fitted(),
    )  # fmt: skip


def known_cells(panel: Panel, last_week: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(P, 1, W) bool, whether a product is on sale, from the first to the last week with a sale;
    and of these weeks (P, Z, W) bool, where the price is known whether anything was sold or not,
    and where it is known because something was."""
    seen = panel.is_observed[:, :, :last_week]
    sold = (panel.trips[:, :, :last_week] > 0).any(1)
    weeks = np.arange(last_week)
    on_sale = (weeks >= sold.argmax(1)[:, None]) & (
        weeks < last_week - sold[:, ::-1].argmax(1)[:, None]
    )
    on_sale = (on_sale & sold.any(1)[:, None])[:, None]
    elsewhere = seen.sum(1, keepdims=True) - seen > 0
    return on_sale, on_sale & elsewhere, on_sale & seen & ~elsewhere


class _Model:
    def __init__(self, data: _Data) -> None:
        self.data = data
        products, zones, weeks = data.trips.shape
        traffic = (data.on_sale * data.traffic.exp()).sum(2)
        level = torch.log(((data.trips * data.on_sale).sum(2) + 0.3) / (traffic + 1))
        zeros = torch.zeros(int(data.category.max()) + 1, weeks, dtype=torch.float64)
        self.level = level.requires_grad_()
        self.category = zeros.requires_grad_()
        self.product = torch.zeros(products, weeks, dtype=torch.float64, requires_grad=True)
        self.typical, self.spread = float(np.log(2.0)), SPREAD
        self.log_e = torch.full((products,), self.typical, dtype=torch.float64, requires_grad=True)
        self.quantity, self.further = torch.zeros(2, products, dtype=torch.float64)
        first = torch.tensor([0.4 * data.switches, 0.4, 0.1, 0.0, 0.0], dtype=torch.float64)
        self.common = first.requires_grad_()
        """(5,) v, d, p, f and m."""

    def effects(self) -> Tensor:
        """(P, Z, W) x."""
        switch, reference, stock = self._parts()
        lasting, passing, stocking = self.common[:3]
        lasting = lasting * self.data.switches
        price, need = self.data.price, self.data.need
        found = switch - lasting * price - passing * (price - reference[need])
        return found - stocking * stock[need]

    def _appeal(self) -> Tensor:
        """(P, Z, W) A."""
        d = self.data
        answer = -self.log_e.exp()[:, None, None] * d.price
        return answer + torch.tensordot(self.common[3:], d.announced, 1)

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        d = self.data
        appeal = self._appeal()
        weight = d.share[:, None, None] * d.on_sale
        odds = weight * appeal.exp()
        value = self._by_need(odds).log() - self._by_need(weight.expand_as(odds)).log()
        if not d.switches:
            value = torch.zeros_like(value)
        chosen = odds.detach() / self._by_need(odds.detach())[d.need]
        reference = before_each_week(self._by_need(chosen * d.price), 1 - MEMORY, MEMORY)
        below = (reference[d.need] - d.price).clamp(min=0)
        more = torch.expm1(self.quantity[:, None, None] * below)
        beyond = self._by_need(chosen * self.further[:, None, None] * more)
        return appeal - value[d.need], reference, before_each_week(beyond, KEEPS, KEEPS)

    def reference(self) -> np.ndarray:
        """(P, Z, W) reference prices."""
        with torch.no_grad():
            return self._parts()[1][self.data.need].numpy()

    def fitted(self) -> tuple[np.ndarray, np.ndarray]:
        """x, and what the means hold besides it and the levels: (P, Z, W) each."""
        d = self.data
        with torch.no_grad():
            wander = (self.category[d.category] + self.product)[:, None] + d.traffic
            wander = wander + (d.on_sale + 1e-12).log()
            return self.effects().numpy(), wander.numpy()

    def _by_need(self, x: Tensor) -> Tensor:
        """(K, Z, W) sums of (P, Z, W)."""
        needs = int(self.data.need.max()) + 1
        return x.new_full((needs, *x.shape[1:]), 1e-12).index_add(0, self.data.need, x)

    def log_mean(self) -> Tensor:
        """(P, Z, W) of expected trips, logarithms."""
        d = self.data
        wander = self.category[d.category] + self.product
        return self.level[:, :, None] + wander[:, None] + d.traffic + self.effects()

    def loss(self) -> Tensor:
        d = self.data
        log_mean = self.log_mean()
        mean = log_mean.exp()
        # log(exp(mean) - 1) without overflow
        any_trip = mean + torch.log(-torch.expm1(-mean.clamp(min=1e-9)))
        nats = ((mean - d.trips * log_mean) * d.plain).sum()
        nats = nats + ((any_trip - d.trips * log_mean) * d.truncated).sum()
        for wander, step in ((self.category, CATEGORY_STEP), (self.product, PRODUCT_STEP)):
            nats = nats + (wander.diff(dim=1) ** 2).sum() / (2 * step**2)
            nats = nats + (wander**2).sum() / (2 * LEVEL**2)
        return nats + ((self.log_e - self.typical) ** 2).sum() / (2 * self.spread**2)

    def fit(self) -> None:
        """Maximum a posteriori."""
        parameters = [self.level, self.category, self.product, self.log_e, self.common]
        optimiser = torch.optim.LBFGS(
            parameters, max_iter=150, history_size=20, line_search_fn="strong_wolfe",
            tolerance_grad=1e-3, tolerance_change=1e-7,
        )  # fmt: skip

        def closure() -> Tensor:
            optimiser.zero_grad()
            nats = self.loss()
            nats.backward()
            return nats

        optimiser.step(closure)

    @torch.no_grad()
    def switching_errors(self) -> np.ndarray:
        """(P,) standard errors of log e, the product's levels being estimated with it: the inverse
        of the second derivatives for one product after the other."""
        d = self.data
        mean = self.log_mean().exp() * d.on_sale
        own = d.share[:, None, None] * self._appeal().exp() * d.on_sale
        own = own / self._by_need(own)[d.need]
        slope = -self.log_e.exp()[:, None, None] * d.price * (1 - own * d.switches)  # dx / d log e
        products, zones, weeks = mean.shape
        walk = torch.eye(weeks, dtype=torch.float64).diff(dim=0)
        prior = walk.T @ walk / PRODUCT_STEP**2 + torch.eye(weeks, dtype=torch.float64) / LEVEL**2
        # Levels by zone and week, (Z + W), are integrated out of the (1 + Z + W) derivatives.
        by_zone, by_week = mean.sum(2), mean.sum(1)
        inner = torch.zeros(products, zones + weeks, zones + weeks, dtype=torch.float64)
        inner[:, :zones, :zones] = torch.diag_embed(by_zone + 1e-6)
        inner[:, zones:, zones:] = torch.diag_embed(by_week) + prior
        inner[:, :zones, zones:] = mean
        inner[:, zones:, :zones] = mean.transpose(1, 2)
        side = torch.cat([(mean * slope).sum(2), (mean * slope).sum(1)], dim=1)
        explained = (side * torch.linalg.solve(inner, side)).sum(1)
        information = (mean * slope**2).sum((1, 2)) - explained + self.spread**-2
        return information.clamp(min=1e-6).rsqrt().numpy()

    def reestimate(self, error: np.ndarray, moved: np.ndarray) -> None:
        """Mean and variance of log e from the products whose price moved."""
        if moved.any():
            log_e = self.log_e.detach().numpy()[moved]
            self.typical = float(log_e.mean())
            self.spread = float(np.sqrt(((log_e - self.typical) ** 2 + error[moved] ** 2).mean()))

    def common_errors(self) -> np.ndarray:
        """(5, 5) covariance of v, d, p, f and m; levels of products being estimated with them
        roughly: by the regressors' differences from their means over product and zone."""
        d = self.data
        with torch.no_grad():
            mean = self.log_mean().exp() * (d.plain + d.truncated)
            _, reference, stock = self._parts()
            price, surprise = d.price * d.switches, d.price - reference[d.need]
            columns = torch.stack([price, surprise, stock[d.need], *d.announced])
            total = mean.sum(2, keepdim=True).clamp(min=1e-9)
            columns = columns - (columns * mean).sum(3, keepdim=True) / total
            information = torch.einsum("apzw,bpzw,pzw->ab", columns, columns, mean)
            return torch.linalg.pinv(information, hermitian=True).numpy()


def _quantity(
    panel: Panel, below: np.ndarray, last_week: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(P,) elasticities of the units beyond a trip's first to how far the price is below the
    reference price, (P, Z, W), their standard errors, and shares of these units at usual prices.

    Of each department, by maximum likelihood (Poisson) given each product's sum. (Who finds a price
    high takes none, but nobody takes less than one.)
    """
    trips, units = (x[:, :, :last_week] for x in (panel.trips, panel.units))
    more = np.maximum(units - trips, 0)
    total = more.sum((1, 2))
    found, error, level = np.zeros((3, len(total)))
    for department in np.unique(panel.department):
        rows = np.flatnonzero(panel.department == department)
        b = below[rows]

        def weights(q: float, rows=rows, b=b) -> np.ndarray:
            return trips[rows] * np.exp(q * b)

        def nats(q: float, rows=rows, b=b) -> float:
            expected = np.log(weights(q).sum((1, 2)).clip(min=1e-9))
            return float((total[rows] * expected).sum() - q * (more[rows] * b).sum())

        q = minimize_scalar(nats, bounds=(0, MOST), method="bounded").x
        weight = weights(q)
        usual = total[rows] / weight.sum((1, 2)).clip(min=1e-9)
        expected = usual[:, None, None] * weight
        mean = (expected * b).sum((1, 2)) / total[rows].clip(min=1e-9)
        gap = b - mean[:, None, None]
        information = (expected * gap**2).sum()
        found[rows] = q
        error[rows] = np.sqrt(((more[rows] - expected) ** 2 * gap**2).sum())
        error[rows] /= max(information, 1e-9)
        level[rows] = usual
    return found, error, level / (1 + level)


def before_each_week(x: Tensor, left: float, taken: float) -> Tensor:
    """(..., W) what is remembered before each week of (..., W): a share `left` of what was, and
    `taken` of the week that ends; 0 before the first."""
    state = torch.zeros_like(x[..., 0])
    found = []
    for week in x.unbind(-1):
        found.append(state)
        state = left * state + taken * week
    return torch.stack(found, dim=-1)
