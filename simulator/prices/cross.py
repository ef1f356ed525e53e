"""Whether receipts tell what the price of one product does to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.prices.demand import FIRST_WEEKS, Demand
from simulator.prices.panel import Panel
from simulator.prices.regressors import log_pence

RIVALS = 5
"""The most sold other products of a product's category that are tried, and as many elsewhere."""
SIGNIFICANT = 1.96
"""Standard errors from 0."""
MOST_FALSE = 0.5
"""Share of the significant effects that may be chance."""


@dataclass(frozen=True)
class CrossPrices:
    """Effects of the prices of others, within the finest category and, as a placebo, of products of
    other departments, which have none."""

    pairs: int
    """Tried in each of the two."""
    within: float
    """Share of the pairs within a category with an effect other than 0 at 5 %."""
    placebo: float
    """Share of the pairs across departments: what chance, seasons and common promotions make."""
    substitutes: float
    """Share of the significant pairs within a category that are substitutes: effect above 0."""

    @property
    def is_identifiable(self) -> bool:
        """Whether more of the significant effects are true than chance."""
        return self.pairs > 0 and self.placebo <= MOST_FALSE * self.within

    def __str__(self) -> str:
        """The verdict with its evidence, one line."""
        verdict = "identifiable" if self.is_identifiable else "not identifiable"
        return (
            f"cross-price effects are {verdict}: {self.within:.0%} of {self.pairs:,} pairs within "
            f"a category are significant at 5 %, and {self.placebo:.0%} of as many pairs of "
            f"products of different departments, which are chance; {self.substitutes:.0%} of the "
            "first are substitutes"
        )


def cross_prices(panel: Panel, demand: Demand, seed: int = 0) -> CrossPrices:
    """Test the prices of rivals on what our model leaves unexplained, in the weeks it learned from.

    A score test of a Poisson regression of trips on the log price of the other product, beside the
    expected trips, robust to overdispersion (White, "Maximum likelihood estimation of misspecified
    models", Econometrica, 1982).
    """
    products, rivals = _pairs(panel, demand)
    others = _elsewhere(panel, demand, products, seed)
    expected = demand.expected(panel)
    within, placebo = (_z_scores(panel, demand, expected, products, o) for o in (rivals, others))
    is_found = np.abs(within) > SIGNIFICANT
    return CrossPrices(
        len(products), float(is_found.mean()) if len(products) else 0.0,
        float((np.abs(placebo) > SIGNIFICANT).mean()) if len(products) else 0.0,
        float((within[is_found] > 0).mean()) if is_found.any() else 0.0,
    )  # fmt: skip


def _pairs(panel: Panel, demand: Demand) -> tuple[np.ndarray, np.ndarray]:
    """Products and their rivals, (n,) rows each."""
    volume = demand.evidence.weekly_trips.sum(1)
    moving = np.flatnonzero(demand.moving)
    order = moving[np.lexsort((-volume[moving], panel.category[moving]))]
    starts = np.flatnonzero(np.diff(panel.category[order], prepend=-1))
    pairs = [
        (product, rival)
        for group in np.split(order, starts[1:])
        for product in group
        for rival in [other for other in group[: RIVALS + 1] if other != product][:RIVALS]
    ]
    return tuple(np.array(pairs, dtype=np.int64).reshape(-1, 2).T)


def _elsewhere(panel: Panel, demand: Demand, products: np.ndarray, seed: int) -> np.ndarray:
    """A product of another department for each, drawn from those whose price moves."""
    draw, moving = np.random.default_rng(seed), np.flatnonzero(demand.moving)
    found = draw.choice(moving, len(products))
    for _ in range(100):
        is_same = panel.department[found] == panel.department[products]
        if not is_same.any():
            break
        found[is_same] = draw.choice(moving, is_same.sum())
    return found


def _z_scores(
    panel: Panel, demand: Demand, expected: np.ndarray, products: np.ndarray, rivals: np.ndarray
) -> np.ndarray:
    """(n,) effects of rivals' prices on products, in standard errors."""
    weeks = slice(FIRST_WEEKS, demand.evidence.last_week)
    mean, trips = expected[products, :, weeks], panel.trips[products, :, weeks]
    price = log_pence(panel)[rivals, :, weeks]
    center = (mean * price).sum(-1, keepdims=True) / mean.sum(-1, keepdims=True)
    x = price - center
    score = (trips - mean) * x
    spread = np.sqrt((score**2).sum((1, 2)))
    return score.sum((1, 2)) / np.maximum(spread, 1e-12)
