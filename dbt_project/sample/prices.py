"""Shelf prices: regular prices that move in steps, and promotions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import shape
from .catalogue import Catalogue
from .config import ChainConfig
from .draw import stream

# Small formats charge a little more. In the order of `shape.FORMATS`.
FORMAT_FACTOR = np.array([1.0, 1.02, 1.05, 1.0])
DEPTHS = np.array([0.10, 0.20, 0.25, 0.33, 0.40, 0.50])
DEPTH_SHARE = np.array([0.14, 0.24, 0.20, 0.20, 0.12, 0.10])
CHAIN_WIDE = -1


@dataclass(frozen=True)
class Prices:
    """Regular prices by week and the promotions on top of them."""

    regular: np.ndarray
    """Pence (per kilogram where random-weight) before the format's factor, (products, weeks)."""
    product: np.ndarray
    """One element per promotion, as all that follow."""
    region: np.ndarray
    """Region index, or `CHAIN_WIDE`."""
    week_from: np.ndarray
    week_to: np.ndarray
    depth: np.ndarray
    """Share of the regular price taken off."""

    def week(self, week: int, regions: int) -> tuple[np.ndarray, np.ndarray]:
        """Prices in a week, and relative to the first regular price, before format factors.

        Returns pence of shape (regions, formats, products) and ratios of shape
        (regions, products). The ratio is the large format's, to the penny it charges.
        """
        price = shelf_prices(self.regular[:, week - 1], self.depths(week, regions))
        return price, price[:, 0] / self.regular[:, 0]

    def depths(self, week: int, regions: int) -> np.ndarray:
        """Share of the regular price that promotions take off, (regions, products)."""
        depth = np.zeros((regions, self.regular.shape[0]))
        now = np.flatnonzero((self.week_from <= week) & (week <= self.week_to))
        chain = now[self.region[now] == CHAIN_WIDE]
        local = now[self.region[now] != CHAIN_WIDE]
        depth[:, self.product[chain]] = self.depth[chain]
        depth[self.region[local], self.product[local]] = self.depth[local]
        return depth


def shelf_prices(regular: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Pence that each format charges, (regions, formats, products).

    regular: pence before the format's factor, (products,) or (regions, products); depth: share
    taken off, (regions, products).
    """
    regular = np.broadcast_to(regular, depth.shape)[:, None, :]
    shelf = np.maximum(np.rint(regular * FORMAT_FACTOR[:, None]), 1)
    return np.maximum(np.rint(shelf * (1 - depth[:, None, :])), 1).astype(np.int64)


def build_prices(config: ChainConfig, catalogue: Catalogue, regions: int) -> Prices:
    """Draw the prices of a chain.

    A product changes its regular price about twice in 117 weeks. Half the products are ever
    promoted, for one to three weeks at a time, chain-wide or in one region, never twice within
    two weeks, and with the regular price before and after. Products below 25 pence, where
    rounding to the penny would distort the depth, and random-weight ones are not promoted.
    """
    rng = stream(config.seed, "prices")
    size, weeks = catalogue.price.size, config.weeks
    step = np.where(
        rng.random((size, weeks)) < 2.0 / 117, rng.normal(0.02, 0.05, (size, weeks)), 0.0
    )
    step[:, 0] = 0.0
    regular = catalogue.price[:, None] * np.exp(np.cumsum(step, axis=1))
    regular = np.maximum(np.rint(regular), 1).astype(np.int64)

    promotable = (catalogue.price >= 25) & ~catalogue.random_weight & (rng.random(size) < 0.5)
    count = np.where(promotable, rng.poisson(6.0 * weeks / 117, size), 0)
    product = np.repeat(np.arange(size), count)
    first = rng.integers(1, weeks + 1, product.size)
    last = np.minimum(first + rng.integers(0, 3, product.size), weeks)
    region = np.where(
        rng.random(product.size) < 0.65, CHAIN_WIDE, rng.integers(0, regions, product.size)
    )
    depth = rng.choice(DEPTHS, product.size, p=DEPTH_SHARE)
    order = np.lexsort((first, product))
    product, first, last, region, depth = (a[order] for a in (product, first, last, region, depth))
    same = np.r_[False, product[1:] == product[:-1]]
    # A promotion lasts three weeks at most, and two weeks without one must follow.
    too_close = same & (first < np.r_[0, first[:-1]] + 6)
    keep = ~too_close & (first > catalogue.first_week[product] + 1)
    return Prices(regular, product[keep], region[keep], first[keep], last[keep], depth[keep])


assert len(FORMAT_FACTOR) == len(shape.FORMATS)
