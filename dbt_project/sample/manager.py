"""The manager who sets prices and promotions from what he sees: demand, season and cost.

    log target_it = log p0_i + PASS_THROUGH z_it + SURGE n_ct
    logit start_it = logit START + IN_SEASON n_ct - CLEARANCE log(fast_i / slow_i)
                     + FUNDED (funding_it - mean)

n is the log demand of a sub-commodity, season and shock, which shoppers answer to as well: prices
and demand move together, and a regression of one on the other is biased. z, the cost shock, moves
prices alone. fast and slow are smoothed weekly units.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from .actions import Actions
from .keyed import children, root, two_uniforms, uniform
from .prices import DEPTH_SHARE, DEPTHS
from .setting import Setting

START = 0.055
FUNDED = 1.0
FAST, SLOW = 0.3, 0.05
LONGEST, REST = 3, 3
"""Weeks that a promotion lasts at most, and that must follow it without one."""
CHAIN_WIDE_SHARE = 0.65
LEAST_MOVE = 0.02
"""Log by which a regular price must be off to be changed."""
LEAST_PENCE = 25
"""Cheaper products are not promoted: rounding to the penny would distort the depth."""
_MANAGER = 77
_REVIEW, _START, _SHAPE, _WHERE = range(4)


@dataclass
class Desk:
    """What the manager knows. R regions, N products."""

    regular: np.ndarray
    """(N,) pence before the format's factor."""
    listed: np.ndarray
    """(N,) what `regular` would be had nobody but the manager set it."""
    depth: np.ndarray
    """(R, N) running promotions."""
    until: np.ndarray
    """(N,) last week of the latest promotion."""
    fast: np.ndarray
    """(N,) smoothed units, as `slow`; 0 before the first week."""
    slow: np.ndarray

    @classmethod
    def fresh(cls, s: Setting) -> Desk:
        """Before the first week."""
        size = s.catalogue.price.size
        return cls(
            s.catalogue.price.copy(), s.catalogue.price.copy(),
            np.zeros((s.stores.regions, size)), np.full(size, -REST),
            np.zeros(size), np.zeros(size),
        )  # fmt: skip

    def copy(self) -> Desk:
        """One that shares nothing with this one."""
        return Desk(**{f.name: getattr(self, f.name).copy() for f in fields(self)})

    def observe(self, units: np.ndarray) -> None:
        """Take in a week's sales (N,)."""
        self.fast += FAST * (units - self.fast)
        self.slow += SLOW * (units - self.slow)


def on_sale(s: Setting, week: int) -> np.ndarray:
    """(N,) the chain's assortment: launched and not delisted."""
    return (s.catalogue.first_week <= week) & (week <= s.economy.last_week)


def random_plan(s: Setting, week: int) -> Actions:
    """The unconfounded twin: prices and promotions that nothing explains."""
    return Actions(
        s.prices.regular[:, week - 1], s.prices.depths(week, s.stores.regions), on_sale(s, week)
    )


def managed_plan(s: Setting, desk: Desk, week: int) -> tuple[Actions, Desk]:
    """The manager's actions for a week, and the desk after it was planned."""
    b, c, e = s.behaviour, s.catalogue, s.economy
    size = c.price.size
    key = children(root(s.config.seed, _MANAGER, week), size)
    news = np.log(c.season[:, week - 1]) + e.demand_shock[:, week - 1]
    news = news[c.cl]
    target = c.price * np.exp(b.pass_through * e.cost_shock[:, week - 1] + b.surge * news)
    due = (uniform(key, _REVIEW) < b.review) & (week > 1)

    def reviewed(price: np.ndarray) -> np.ndarray:
        moves = due & (np.abs(np.log(target / price)) > LEAST_MOVE)
        return np.where(moves, np.maximum(np.rint(target), 1), price).astype(np.int64)

    regular, listed = reviewed(desk.regular), reviewed(desk.listed)

    offered = on_sale(s, week)
    depth = np.where(desk.until >= week, desk.depth, 0.0)
    sales = np.log((desk.fast + 0.5) / (desk.slow + 0.5))
    odds = np.log(START / (1 - START)) + b.in_season * news - b.clearance * sales
    odds += FUNDED * (e.funding[:, week - 1] - 0.4)
    u, promotable = two_uniforms(key, _START)
    # Half the products are ever promoted, the same ones throughout.
    ever = uniform(children(root(s.config.seed, _MANAGER), size), _START) < 0.5
    ever &= (c.price >= LEAST_PENCE) & ~c.random_weight
    ready = ever & offered & (week > np.maximum(desk.until, c.first_week) + REST)
    start = np.flatnonzero(ready & (u < 1 / (1 + np.exp(-odds))))
    length, size_of = two_uniforms(key[start], _SHAPE)
    where, region = two_uniforms(key[start], _WHERE)
    how = np.searchsorted(np.cumsum(DEPTH_SHARE)[:-1], size_of, side="right")
    everywhere = where < CHAIN_WIDE_SHARE
    region = (region * s.stores.regions).astype(np.int64)
    here = everywhere | (np.arange(s.stores.regions)[:, None] == region)
    depth[:, start] = np.where(here, DEPTHS[how], 0.0)
    until = desk.until.copy()
    until[start] = week + (length * LONGEST).astype(np.int64)
    depth *= offered
    after = Desk(regular, listed, depth, until, desk.fast.copy(), desk.slow.copy())
    return Actions(regular, depth, offered), after
