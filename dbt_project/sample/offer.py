"""What the chain offers in a week, and how households of each kind choose among it.

Within a need, a household of kind t that thinks of product j buys i instead as in demand.py: shares
move from s_i to s_i g_i, with

    g_i = m_i / sum_j s_j m_j,   m_i = (p_i / p0_i)^(-KAPPA_t eps_i) exp(FEATURE promoted_i),

and m_i = 0 for what is missing. KAPPA_t is the class's, times the household's own multiplier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .demand import FOCUS, KAPPA
from .draw import cumulate
from .prices import shelf_prices
from .setting import KINDS, MISSIONS, NODES, Setting, node_sensitivity

DEAR, CHOKE = 3.0, 3.0
"""Times its first price beyond which a product is priced out, and the power of the price with which
the buyers that are left fall from there on, beside all else. Without it, those who hardly mind
prices would pay any."""


def affordable(ratio: np.ndarray) -> np.ndarray:
    """Share of the buyers who are left at log prices relative to the first ones: 1 up to `DEAR`."""
    return np.exp(-CHOKE * np.maximum(ratio - np.float32(np.log(DEAR)), 0))


@dataclass(frozen=True)
class Offer:
    """Tables of one week. R regions, T kinds of household, N products, K needs, C classes."""

    price: np.ndarray
    """(R, formats, N) pence."""
    full_price: np.ndarray
    """The same without promotions."""
    log_ratio: np.ndarray
    """(R, N) float32 log of the price relative to the first one."""
    available: np.ndarray
    """(R, N) on sale and in stock."""
    keep: np.ndarray
    """(R * T * N,) float32 chance that a product thought of is bought and no rival, products by
    need, as in the next two."""
    rivals: np.ndarray
    """(R * T * N + 1,) running total over the weights of rivals."""
    index: np.ndarray
    """(R * K,) float32 log price index of each need."""
    factor: np.ndarray
    """(sub-commodities,) float32 multiplier of demand: season and shock."""
    known: np.ndarray
    """(N,) products that were ever on sale."""
    base: np.ndarray
    """(C * N + 1,) running total over the classes' shares, products by class of item."""
    base_weight: np.ndarray
    """(C * focuses, MISSIONS) weight of each class of items."""

    def choose(self, s: Setting, product, region, kind, u, v) -> np.ndarray:
        """Products bought instead of those thought of; -1 where the whole need is missing."""
        products = s.at.size
        row = (region * KINDS + kind) * products
        out = product.copy()
        moved = np.flatnonzero(u >= self.keep[row + s.at[product]])
        k = s.catalogue.need[product[moved]]
        row = row[moved]
        low = self.rivals[row + s.start[k]]
        span = self.rivals[row + s.start[k + 1]] - low
        found = np.searchsorted(self.rivals, low + v[moved] * span, side="right") - 1 - row
        found = np.clip(found, s.start[k], s.start[k + 1] - 1)
        # A product of average response has no rivals and is kept; rounding alone comes here.
        stay = np.where(self.available[region[moved], product[moved]], product[moved], -1)
        out[moved] = np.where(span > 0, s.by_need[found], stay)
        return out


def open_week(
    s: Setting, week: int, regular: np.ndarray, depth: np.ndarray, available: np.ndarray,
    known: np.ndarray,
) -> Offer:  # fmt: skip
    """Tabulate a week. regular, depth, available: (R, N); known: (N,)."""
    c, order, start = s.catalogue, s.by_need, s.start[:-1]
    price = shelf_prices(regular, depth)
    promoted = depth.any()
    full = shelf_prices(regular, np.zeros_like(depth)) if promoted else price
    log_ratio = np.log(price[:, 0] / c.price).astype(np.float32)

    weight = s.popularity * known
    ordered = weight[:, order]
    total = np.add.reduceat(ordered, start, axis=1)
    need = c.need[order]
    share = ordered / np.maximum(total, 1e-300)[:, need]

    strength = (KAPPA[:, None] * node_sensitivity(s.behaviour)).ravel()
    ratio, eps = log_ratio[:, order], c.elasticity[order].astype(np.float32)
    m = np.exp(-strength.astype(np.float32)[:, None] * (ratio * eps)[:, None, :])
    if promoted:
        m *= np.exp(np.float32(s.behaviour.feature) * (depth[:, order] > 0))[:, None, :]
    m *= available[:, None, order]
    by_kind = np.repeat(share, NODES.size, axis=0).astype(np.float32)
    mean = np.add.reduceat(by_kind * m, start, axis=2)
    gain = m / np.maximum(mean, 1e-30)[..., need]
    excess = by_kind * np.maximum(gain - 1, 0)

    middle = np.average(share, axis=0, weights=total.sum(1))
    factor = c.season[:, week - 1] * np.exp(s.economy.demand_shock[:, week - 1])
    base = weight[:, s.by_mission] * factor[c.cl[s.by_mission]]
    running = cumulate(base)
    bounds = s.mission_bounds + np.arange(len(KAPPA))[:, None] * order.size
    by_class = np.diff(running[bounds], axis=1)
    return Offer(
        price=price, full_price=full, log_ratio=log_ratio, available=available,
        keep=np.minimum(gain, 1.0).ravel(), rivals=cumulate(excess),
        index=np.add.reduceat(middle * ratio, start, axis=1).astype(np.float32).ravel(),
        factor=factor.astype(np.float32), known=known, base=running,
        base_weight=(by_class[:, None, :] * FOCUS).reshape(-1, MISSIONS),
    )  # fmt: skip
