"""Choice weights of a week: what is bought at base prices, and how prices change it.

The model of one item, with c the household's sensitivity class and k the need of product i:

1. A product is drawn from the household's repertoire or from its class's base shares; either
   way its weight is multiplied by season, mission and the need's price index to the power -ETA,
   PI_k = sum over j in k of s_j p_j / p0_j.
2. Within the need the draw responds to prices: shares move from s_i to
   s_i g_i,  g_i = m_i / sum_j s_j m_j,  m_i = (p_i / p0_i)^(-KAPPA_c eps_i).
   A product with g_i < 1 is kept with probability g_i and otherwise replaced by a rival with
   g_j > 1, in proportion to s_j (g_j - 1). Summed over households that is exactly s_i g_i.

s are the class's base shares within the need among products on sale that week, p0 the first
regular price. That is per item drawn: of a basket's duplicates one is kept, so a product already in
most baskets responds less. Regular prices of small formats differ by a factor that cancels in
p / p0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .catalogue import Catalogue
from .draw import cumulate, pick
from .households import CLASSES, class_popularity
from .prices import Prices

ETA = 0.9
KAPPA = np.array([1.3, 1.0, 0.75])
# Rows: latent focus Fresh, Grocery, Mixed, Nonfood, errand (tobacco, lottery, bags and other
# things that name no mission). Columns: class of the item.
FOCUS = np.array([
    [1.65, 0.45, 0.60, 0.9],
    [0.45, 2.30, 0.70, 0.9],
    [0.88, 1.20, 1.30, 1.0],
    [0.28, 0.40, 5.20, 1.0],
    [0.00, 0.00, 0.00, 9.0],
])  # fmt: skip


@dataclass(frozen=True)
class Demand:
    """Choice weights of one week. R regions, C classes, F focuses, N products."""

    price: np.ndarray
    """Shelf price in pence (per kilogram where random-weight), shape (R, formats, N)."""
    factor: np.ndarray
    """Season x availability x need's price index, shape (R, C, N)."""
    base: np.ndarray
    """Running total over the weights of (R, C, F, N)."""
    keep: np.ndarray
    """Probability that a drawn product is kept, shape (R, C, N)."""
    rivals: np.ndarray
    """Running total over the weights of replacements, (R, C, N) in `order`."""
    order: np.ndarray
    """Products by need."""
    start: np.ndarray
    """First position of each need in `order`, shape (needs + 1,)."""
    need: np.ndarray
    on_sale: np.ndarray

    def draw(self, region, sensitivity, focus, u) -> np.ndarray:
        """Products from the class's base shares, one per element."""
        products = self.need.size
        row = ((region * len(CLASSES) + sensitivity) * FOCUS.shape[0] + focus) * products
        return pick(self.base, row, row + products, u) - row

    def respond(self, product, region, sensitivity, u, v) -> np.ndarray:
        """The product bought instead of the one drawn, given this week's prices."""
        out = product.copy()
        moved = np.flatnonzero(u >= self.keep[region, sensitivity, product])
        k = self.need[product[moved]]
        row = (region[moved] * len(CLASSES) + sensitivity[moved]) * self.need.size
        at = pick(self.rivals, row + self.start[k], row + self.start[k + 1], v[moved])
        out[moved] = np.where(at >= 0, self.order[(at - row) % self.need.size], product[moved])
        return out


def build_demand(catalogue: Catalogue, prices: Prices, regions: int, week: int) -> Demand:
    """Tabulate the choice weights of a week."""
    need = catalogue.need
    needs = int(need.max()) + 1
    order = np.argsort(need, kind="stable")
    start = np.searchsorted(need[order], np.arange(needs + 1))
    on_sale = catalogue.first_week <= week
    weight = class_popularity(catalogue) * on_sale
    of_need = np.add.reduceat(weight[:, order], start[:-1], axis=1)
    share = weight / np.maximum(of_need, 1e-300)[:, need]

    price, ratio = prices.week(week, regions)
    response = ratio[:, None, :] ** -(KAPPA[:, None] * catalogue.elasticity)
    mean = np.add.reduceat((share * response)[..., order], start[:-1], axis=2)
    gain = response / np.maximum(mean, 1e-300)[..., need]
    index = np.add.reduceat((share * ratio[:, None, :])[..., order], start[:-1], axis=2)
    index = np.where(of_need > 0, index, 1.0)[..., need] ** -ETA
    factor = index * on_sale * catalogue.season[catalogue.cl, week - 1]
    base = (weight * factor)[:, :, None, :] * FOCUS[:, catalogue.mission]
    return Demand(
        price=price, factor=factor, base=cumulate(base), keep=np.minimum(gain, 1.0),
        rivals=cumulate((share * np.maximum(gain - 1, 0))[..., order]), order=order,
        start=start, need=need, on_sale=on_sale,
    )  # fmt: skip
