"""`RetailSim/Pricing-v0`: weekly regular prices and promotions of a category or of the chain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from dbt_project.sample import Actions
from dbt_project.sample.shape import GROUPS
from trainer.commands.errors import InputError

from .books import Books, base_prices
from .chain_env import CHAIN_FIGURES, LARGEST, ChainEnv
from .opening import Episode, Opening

SPAN = 2.0
"""Prices go from 1 / SPAN to SPAN times the base price."""
DEEPEST = 0.5
"""Largest share that a promotion takes off."""


@dataclass(frozen=True)
class Scope:
    """What is priced: products of a category each for itself, or all products by category.

    A lever moves the products that belong to it alike. N products, M of them priced, L levers.
    """

    product: np.ndarray
    """(M,) priced products."""
    lever: np.ndarray
    """(M,) lever of each."""

    @classmethod
    def of(cls, group: np.ndarray, category: int | None) -> Scope:
        """The scope of a category (PROD_CODE_30, from 0), or of the chain for None.

        group: (N,) category of each product. Raises InputError for a category that is not there.
        """
        if category is None:
            return cls(np.arange(group.size), group)
        if not 0 <= category < len(GROUPS):
            raise InputError(f"category must be from 0 to {len(GROUPS) - 1}, not {category}")
        product = np.flatnonzero(group == category)
        return cls(product, np.arange(product.size))

    @cached_property
    def levers(self) -> int:
        """L."""
        return int(self.lever.max()) + 1

    def actions(self, episode: Episode, factor: np.ndarray, depth: np.ndarray) -> Actions:
        """The manager's plan with other prices and promotions of what is priced.

        factor: regular over base prices, and depth: share that promotions take off, in whole
        hundredths; one number, (L,) or (M,).
        """
        plan = episode.world.plan()
        base = base_prices(episode.world)[self.product]
        regular = plan.regular.copy()
        regular[self.product] = np.maximum(np.rint(base * self._each(factor)), 1)
        off = np.atleast_2d(plan.depth).copy()
        off[:, self.product] = np.rint(100 * self._each(depth)) / 100
        return replace(plan, regular=regular, depth=off)

    def _each(self, value: Any) -> np.ndarray:
        """(M,) of a number, or of one for each lever or product."""
        value = np.asarray(value, float)
        return value[self.lever] if value.shape == (self.levers,) else value

    def mean(self, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """(L,) means over products; values, weight: (N,)."""
        w = weight[self.product] + 1e-9
        total = np.bincount(self.lever, w * values[self.product], self.levers)
        return total / np.bincount(self.lever, w, self.levers)

    def total(self, values: np.ndarray) -> np.ndarray:
        """(L,) sums over products; values: (N,)."""
        return np.bincount(self.lever, values[self.product], self.levers)


class PricingEnv(ChainEnv):
    """Prices and promotions for the coming week; `ChainEnv` has reward, ends, seeds and info.

    Args:
        category: a category (PROD_CODE_30, from 0) whose products have a lever each; None (the
            default) for the whole chain, with a lever for each category. What is not priced
            follows the manager's plan.
        render_mode, **opening: as of `ChainEnv`.

    **Actions**, Box(-1, 1, (2L,)), L levers. The first L set regular prices: the base price times
    2^a. A base price is the first price times the rise of the unit cost since: 0 keeps the
    margin. The others set promotions: a share of a / 2 off the regular price, in whole hundredths,
    none at a <= 0. So all zeros is cost-plus. Prices are the same in every region, whole pence.

    **Observations**, Box(-10, 10, (6L + 6,)), for each lever, averaged by usual sales:

    0. log units of last week over the usual ones, each plus one; 1. the same, smoothed;
    2. log of last week's price charged over the base price; 3. last week's depth;
    4. log of the coming week's unit cost over the first one; 5. share of a promotion's depth that
       suppliers pay in the coming week;

    then, of the chain: sine and cosine of the week of the year, the share of the episode left, log
    trips and log revenue of last week over the usual ones, cards seen in the last four weeks over
    the usual number.
    """

    FIGURES = 6

    def __init__(
        self, category: int | None = None, render_mode: str | None = None, **opening: Any
    ) -> None:
        super().__init__(render_mode, **opening)
        self.category = category
        self._begin(self.opening)
        levers = self.scope.levers
        self.action_space = Box(-1.0, 1.0, (2 * levers,), np.float32)
        size = self.FIGURES * levers + CHAIN_FIGURES
        self.observation_space = Box(-LARGEST, LARGEST, (size,), np.float32)

    def _begin(self, opening: Opening) -> None:
        world, _ = opening.start()
        self.scope = Scope.of(world.setting.catalogue.group, self.category)

    def _actions(self, action: np.ndarray) -> Actions:
        a = np.clip(np.asarray(action, float), -1, 1)
        levers = self.scope.levers
        return self.scope.actions(
            self.episode, SPAN ** a[:levers], DEEPEST * np.maximum(a[levers:], 0)
        )

    def _seen(self) -> np.ndarray:
        return seen(self.episode, self.scope)


def seen(episode: Episode, scope: Scope) -> np.ndarray:
    """(6, L) what `PricingEnv` observes of levers."""
    books: Books = episode.books
    world = episode.world
    usual = scope.total(books.usual.units)
    weight = books.usual.units * world.setting.unit_price
    cost, funding = world.setting.economy.cost, world.setting.economy.funding
    # After the last week there are no costs of a coming one.
    now = min(world.week, cost.shape[1]) - 1
    return np.stack(
        [
            np.log((scope.total(books.units) + 1) / (usual + 1)),
            np.log((scope.total(books.smooth) + 1) / (usual + 1)),
            scope.mean(books.level, weight),
            scope.mean(books.depth, weight),
            scope.mean(np.log(cost[:, now] / cost[:, 0]), weight),
            scope.mean(funding[:, now], weight),
        ]
    )
