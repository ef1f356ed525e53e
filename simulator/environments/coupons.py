"""`RetailSim/Coupons-v0`: whom to give which coupon, week by week."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium.spaces import Box, MultiBinary

from dbt_project.sample import Actions, Coupons, World
from trainer.commands.errors import InputError

from .books import Books
from .chain_env import CHAIN_FIGURES, LARGEST, ChainEnv
from .learned import NO_COUPONS
from .learned.coupon_response import LATELY, RECENCY
from .learned.knowledge import Knowledge
from .opening import Opening

SPENDING = 3
"""Classes of spend, with as many households each at the beginning."""
SEGMENTS = (len(RECENCY) + 1) * SPENDING


@dataclass(frozen=True)
class Menu:
    """The coupons there are, each on a product. C coupons."""

    product: np.ndarray
    """(C,)"""
    need: np.ndarray
    """(C,) need of each."""
    depth: float
    """Share of the shelf price that a coupon takes off one unit."""

    @classmethod
    def of(cls, opening: Opening, size: int = 8, depth: float = 0.1) -> Menu:
        """A coupon in each of the needs that sell most: on the product that earns most a unit of
        those that are on sale throughout.

        In the learned world, the first of the trial's. Raises InputError where so many coupons, or
        such deep ones, cannot be.
        """
        if not 0 < depth <= 0.95:
            raise InputError(f"depth must be above 0 and at most 0.95, not {depth}")
        world, books = opening.start()
        if not isinstance(world, World):
            return cls._of_trial(world.known, size, depth)
        s = world.setting
        on_sale = (s.catalogue.first_week <= world.week) & (s.economy.last_week >= s.config.weeks)
        sales = np.bincount(s.catalogue.need, books.usual.units * s.unit_price * on_sale, s.needs)
        if not 1 <= size <= (sales > 0).sum():
            raise InputError(f"menu must be from 1 to {(sales > 0).sum()} coupons, not {size}")
        need = np.argsort(-sales, kind="stable")[:size]
        margin = np.where(on_sale, s.unit_price * s.economy.margin, -1.0)
        best = [np.argmax(np.where(s.catalogue.need == k, margin, -2.0)) for k in need]
        return cls(np.array(best), need, depth)

    @classmethod
    def _of_trial(cls, known: Knowledge, size: int, depth: float) -> Menu:
        if not known.coupon.size:
            raise InputError(NO_COUPONS)
        if not 1 <= size <= known.coupon.size:
            raise InputError(f"menu must be from 1 to the trial's {known.coupon.size}, not {size}")
        if not np.isclose(depth, known.coupon_depth[0]):
            raise InputError(f"depth must be the trial's, {known.coupon_depth[0]:g}, not {depth}")
        product = known.coupon[:size]
        return cls(product, known.need[product], depth)

    def actions(self, world: World, given: np.ndarray) -> Actions:
        """The manager's plan, and coupons for households.

        given: (H, C) bool, who of those with a card gets which.
        """
        household, coupon = np.nonzero(given)
        coupons = Coupons.on_products(household, self.product[coupon], self.depth)
        return replace(world.plan(), coupons=coupons)


@dataclass(frozen=True)
class Segments:
    """Cards by recency and by what they spend, in thirds of the beginning of an episode."""

    thirds: np.ndarray
    """(SPENDING - 1,) pounds a week at which a third ends."""
    usual_spend: float
    """Of a card, pounds a week."""

    @classmethod
    def of(cls, opening: Opening) -> Segments:
        """Those of episodes from an opening."""
        spend = opening.start()[1].spend
        thirds = np.quantile(spend, np.arange(1, SPENDING) / SPENDING)
        return cls(thirds, max(float(spend.mean()), 1e-9))

    def group(self, books: Books) -> np.ndarray:
        """(H,) the segment of each card, recency first."""
        recency = np.digitize(books.weeks - books.last_trip, RECENCY)
        return recency * SPENDING + np.digitize(books.spend, self.thirds)

    def seen(self, books: Books, menu: Menu, group: np.ndarray, groups: int) -> np.ndarray:
        """(G, 3 + C) what `CouponsEnv` observes of groups of cards. group: (H,) that of each."""
        since = np.minimum(books.weeks - books.last_trip, 2 * LATELY) / LATELY
        lately = books.bought[:, menu.need] > books.weeks - LATELY
        figures = np.column_stack([since, books.spend / self.usual_spend, lately])
        size = np.bincount(group, minlength=groups)
        sums = [np.bincount(group, column, groups) for column in figures.T]
        means = np.stack(sums, axis=1) / np.maximum(size, 1)[:, None]
        return np.column_stack([size / group.size, means])


class CouponsEnv(ChainEnv):
    """Coupons handed out for the coming week; `ChainEnv` has reward, ends, seeds and info.

    Prices follow the manager's plan. A coupon is on one product, good for four weeks and one
    unit; a household has one for each need at most. It costs what it takes off.

    Args:
        to: `segments` (the default), or `households` to choose for each one with a card.
        menu: coupons to choose from; `Menu.of` says on which products.
        depth: share of the shelf price that a coupon takes off.
        render_mode, **opening: as of `ChainEnv`; an episode has 26 weeks unless told otherwise.

    **Actions**, MultiBinary(G C) for G groups and C coupons, by group: whether every household of
    the group gets the coupon. Segments are recency x spend, recency first: last seen 0-1, 2-4,
    5-12, 13 or more weeks ago; smoothed weekly spend in the lower, middle or upper third of the
    beginning's.

    **Observations**, Box(-10, 10, (G (3 + C) + 6,)), for each group: its share of the households,
    weeks since their last trip (in quarters of a year, at most two), their spend over the usual
    mean, and for each coupon the share that bought its need within 13 weeks; then six figures of
    the chain, as of `PricingEnv`.

    In the learned world the menu is that of the trial it was learned from, and those with a card
    are the ones that receipts name, so that `to="households"` has fewer of them.

    Raises InputError for another `to`, and for a menu or a depth that cannot be.
    """

    def __init__(
        self, to: str = "segments", menu: int = 8, depth: float = 0.1,
        render_mode: str | None = None, weeks: int = 26, **opening: Any,
    ) -> None:  # fmt: skip
        if to not in ("segments", "households"):
            raise InputError(f"to must be segments or households, not {to}")
        super().__init__(render_mode, weeks=weeks, **opening)
        self.to, self._size, self._depth = to, menu, depth
        self._begin(self.opening)
        groups = SEGMENTS if to == "segments" else self.opening.start()[1].last_trip.size
        self._groups = groups
        self.action_space = MultiBinary(groups * menu)
        size = groups * (3 + menu) + CHAIN_FIGURES
        self.observation_space = Box(-LARGEST, LARGEST, (size,), np.float32)

    def _begin(self, opening: Opening) -> None:
        self.menu = Menu.of(opening, self._size, self._depth)
        self.segments = Segments.of(opening)

    def _group(self, books: Books) -> np.ndarray:
        """(H,) the group of each household with a card."""
        if self.to == "households":
            return np.arange(books.last_trip.size)
        return self.segments.group(books)

    def _actions(self, action: np.ndarray) -> Actions:
        if not np.isin(action, (0, 1)).all():
            raise InputError("a group gets a coupon, 1, or does not, 0")
        of_group = np.asarray(action, bool).reshape(self._groups, -1)
        return self.menu.actions(self.episode.world, of_group[self._group(self.episode.books)])

    def _seen(self) -> np.ndarray:
        books = self.episode.books
        return self.segments.seen(books, self.menu, self._group(books), self._groups)
