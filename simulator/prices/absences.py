"""What customers do whose product is missing: whether they take another one, or go without.

    instead = sum over gaps (R - E[R]) / sum over gaps E[own]

A *gap* is a product that nobody bought in a region for a week, or a few in a row, though `EXPECTED`
purchases or more were to be expected, and that was bought there before and after: it was out of
stock, or not on the shelf. R are purchases of its rivals in these weeks, those of its need, or of
its finest category where needs cannot be told; own are the missing ones. What was to be expected of
either is what the price response fits to the weeks.

Purchases count by how much of what the customer buys of product and rivals is the product: who
never buys it does not miss it, and adds noise alone.

How many take a substitute when a product is out of stock has been asked in many countries: `ASKED`
(Corsten and Gruen, Desperately seeking shelf availability, International Journal of Retail and
Distribution Management 2003). Receipts with few gaps or none are given that, as far as they leave
it open.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.prices.needs import FEW, Purchases
from simulator.prices.response import PriceResponse
from trainer.cache.reader import TensorCache

EXPECTED = 8.0
"""Purchases that would have been made in a gap: without any by chance once in 3,000 times."""
LONGEST = 4
"""Weeks of a gap: in longer ones demand may have changed for other reasons."""
ASKED, ASKED_SPREAD = 0.45, 0.2
"""Share of customers who take another product, and its standard deviation from chain to chain; the
second is a guess."""
LITTLE = 0.8
"""Share of `ASKED_SPREAD` that receipts leave open, from which on they say next to nothing."""


class Instead(NamedTuple):
    """Share of a missing product's purchases that its rivals get."""

    value: float
    error: float
    """Its standard error."""
    gaps: int
    """On which it rests."""

    @property
    def is_told(self) -> bool:
        """Whether receipts tell it, so that it is more than what shoppers say elsewhere."""
        return self.error < LITTLE * ASKED_SPREAD

    def words(self) -> str:
        """What it is and what it rests on, a sentence."""
        share = f"{self.value:.0%}".replace("%", " %")
        if self.is_told:
            error = f"{self.error:.0%}".replace("%", " %")
            return (
                f"Rivals get {share} of what a missing product would have sold (standard error "
                f"{error}), as {self.gaps:,} gaps in products' sales say; the rest is not bought."
            )
        return (
            f"Rivals are taken to get {share} of what a missing product would have sold, about "
            f"what shoppers elsewhere say: {self.gaps:,} gaps in products' sales are too few to "
            "tell. The rest is not bought."
        )


UNTOLD = Instead(ASKED, ASKED_SPREAD, 0)
"""Where nothing is known."""


def fit_instead(cache: TensorCache, response: PriceResponse, last_week: int) -> Instead:
    """Fit to the weeks up to one."""
    panel = response.panel
    region = np.unique(cache["stores.region"], return_inverse=True)[1]
    purchases = Purchases.of(cache, panel, last_week, region)
    products, cells = len(panel.token), (int(region.max()) + 1) * last_week
    of_each = list(purchases.of_each(products))
    found = np.stack([np.bincount(cell, minlength=cells) for _, cell in of_each])
    # A price that nobody paid is not known: what is expected of a discount counts for no gap.
    fitted, usual = (
        _fitted(cache, response, effect, region, last_week).reshape(products, cells)
        for effect in (response.effect, np.minimum(response.effect, 0))
    )
    scale = _ratio(found, fitted, last_week)
    gaps = _gaps(found, scale * usual, last_week)
    bought, group = purchases.bought(products), rivals(response)
    told = []
    for product, own_gaps in gaps.items():
        others = np.flatnonzero((group == group[product]) & (np.arange(products) != product))
        if not len(others):
            continue
        own, theirs = bought[:, product], bought[:, others].sum(1)

        def weighed(row: int, own=own, theirs=theirs, product=product) -> np.ndarray:
            """(3, cells) purchases, what is fitted to them, and their variance."""
            who, cell = of_each[row]
            # Of what the customer buys besides this one.
            mine, rest = own[who] - (row == product), theirs[who] - (row != product)
            weight = mine / (mine + rest + FEW)
            count, square = (np.bincount(cell, x, cells) for x in (weight, weight**2))
            mean, variance = (
                _ratio(x[None], fitted[[row]], last_week)[0] * fitted[row] for x in (count, square)
            )
            return np.stack([count, mean, variance])

        count, mean, variance = sum(weighed(row) for row in others)
        missing = weighed(product)[1]
        told += [[x[cell].sum() for x in (count - mean, missing, variance)] for cell in own_gaps]
    return _with_asked(*np.reshape(told, (-1, 3)).T)


def rivals(response: PriceResponse) -> np.ndarray:
    """(P,) groups of products that replace each other: needs, or finest categories where needs
    cannot be told."""
    if response.switches:
        return response.need
    return np.unique(response.panel.category, return_inverse=True)[1]


def _fitted(
    cache: TensorCache, response: PriceResponse, effect: np.ndarray, region: np.ndarray,
    last_week: int,
) -> np.ndarray:  # fmt: skip
    """(P, regions, W) trips with each product in stores of each region, (stores,), if prices had
    this effect, (P, Z, W)."""
    panel = response.panel
    mean = np.exp(response.wander + response.effect).sum(2)
    level = panel.trips[:, :, :last_week].sum(2) / mean.clip(min=1e-9)
    rate = level[:, :, None] * np.exp(response.wander + effect)
    rate = rate / panel.traffic[:, :last_week].clip(min=1e-3)
    week = cache["trips.week"].astype(np.int64)
    store = cache["trips.store"].astype(np.int64)[week <= last_week]
    trips = np.zeros((int(region.max()) + 1, *rate.shape[1:]))
    np.add.at(trips, (region[store], panel.zone[store], week[week <= last_week] - 1), 1)
    return np.einsum("qzw,pzw->pqw", trips, rate)


def _ratio(found: np.ndarray, fitted: np.ndarray, weeks: int) -> np.ndarray:
    """(n, cells) found over fitted (n, cells) in all weeks of each region."""
    found, fitted = (x.reshape(len(x), -1, weeks).sum(2) for x in (found, fitted))
    return np.repeat(found / fitted.clip(min=1e-9), weeks, axis=1)


def _gaps(found: np.ndarray, usual: np.ndarray, weeks: int) -> dict[int, list[np.ndarray]]:
    """Cells of each gap of each product with any; found, usual: (P, cells)."""
    gaps: dict[int, list[np.ndarray]] = {}
    for product, counts in enumerate(found):
        sold = np.flatnonzero(counts)
        between = np.diff(sold) - 1
        same_region = np.diff(sold // weeks) == 0
        for place in np.flatnonzero((between > 0) & (between <= LONGEST) & same_region):
            cell = np.arange(sold[place] + 1, sold[place + 1])
            if usual[product, cell].sum() >= EXPECTED:
                gaps.setdefault(product, []).append(cell)
    return gaps


def _with_asked(more: np.ndarray, lost: np.ndarray, variance: np.ndarray) -> Instead:
    """What gaps say, as far as they do, and else what was asked.

    more, lost: (gaps,) purchases that rivals gained, and own ones that are missing; variance: of
    the first, if purchases are Poisson.
    """
    weight, total = ASKED_SPREAD**-2, ASKED * ASKED_SPREAD**-2
    if lost.sum() > 0:
        value = more.sum() / lost.sum()
        told = lost.sum() ** 2 / max(((more - value * lost) ** 2).sum(), variance.sum())
        weight, total = weight + told, total + value * told
    return Instead(float(np.clip(total / weight, 0, 1)), float(weight**-0.5), len(lost))
