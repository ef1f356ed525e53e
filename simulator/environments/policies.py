"""Reference policies for prices: what a week's actions are, given an episode.

What a policy is fitted by are lives of the chain in which it is never judged (`lives.FITTED`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dbt_project.sample import Actions
from dbt_project.sample.shape import GROUPS

from .lives import FITTED, Progress, worth
from .opening import Episode, Opening
from .pricing import DEEPEST, SPAN, Scope

ROTATION = 4
"""A product is promoted in one of so many weeks."""
PROBE = 1.1
"""Price step by which an elasticity is measured."""
DEPTHS = (0.05, 0.1, 0.2, 0.3, 0.4)
QUARTERS = 4
STEPS = ((1.2, 0.2), (1.08, 0.1))
"""Factors of levels and differences of depths that the search tries, coarse ones first."""


def plan(episode: Episode) -> Actions:
    """What the chain's manager does."""
    return episode.world.plan()


@dataclass(frozen=True)
class Schedule:
    """Prices at a level over base prices, and promotions in rotation.

    levels: of equal parts of the episode; depth: share off for a quarter of the products each
    week. One level of 1 and no depth is cost-plus.
    """

    scope: Scope
    levels: tuple[float, ...] = (1.0,)
    depth: float = 0.0

    def __call__(self, episode: Episode) -> Actions:
        part = episode.passed * len(self.levels) // episode.opening.weeks
        turn = (self.scope.product + episode.passed) % ROTATION == 0
        return self.scope.actions(episode, self.levels[part], np.where(turn, self.depth, 0.0))


@dataclass(frozen=True)
class Myopic:
    """The price of each category that earns most this week, by true elasticities.

    Each week, how units answer to prices a tenth higher this week is measured in copies of the
    world with common random numbers. With that elasticity e, as if it were the same at all
    prices, a price p = cost x e / (e - 1) earns most (the inverse elasticity rule); with e <= 1
    the highest does. What becomes of habits, expectations and customers is not looked at.
    """

    scope: Scope
    copies: int = 4
    """Draws of the week by which elasticities are measured."""

    def __call__(self, episode: Episode) -> Actions:
        s, books, product = episode.world.setting, episode.books, self.scope.product
        category = s.catalogue.group[product]
        weight = books.usual.units[product] * s.unit_price[product] + 1e-9

        def mean(values: np.ndarray) -> np.ndarray:
            of_all = np.bincount(category, weight, len(GROUPS))
            return np.bincount(category, weight * values, len(GROUPS)) / np.maximum(of_all, 1e-9)

        level = np.exp(mean(books.level[product]))
        now, dearer = (self._units(episode, category, level * f) for f in (1.0, PROBE))
        e = np.log((now + 1) / (dearer + 1)) / np.log(PROBE)
        markup = np.where(e > 1, e / np.maximum(e - 1, 1e-9), np.inf)
        cost = mean(1 - s.economy.margin[product])
        factor = np.clip(cost * markup, 1 / SPAN, SPAN)
        return self.scope.actions(episode, factor[category], 0.0)

    def _units(self, episode: Episode, category: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Units of each category in the coming week at prices of a factor each."""
        units = np.zeros(len(GROUPS))
        for copy in range(self.copies):
            trial = episode.copy(FITTED + copy)
            sold = trial.step(self.scope.actions(trial, factor[category], 0.0)).units
            units += np.bincount(category, sold[self.scope.product], len(GROUPS))
        return units


def best_depth(scope: Scope, opening: Opening, lives: int, week: Progress) -> Schedule:
    """Cost-plus with the depth of `DEPTHS` that earns most in lives it is not judged on."""
    return max(
        (Schedule(scope, depth=depth) for depth in DEPTHS),
        key=lambda policy: worth(policy, opening, lives, week),
    )


def searched(scope: Scope, opening: Opening, lives: int, week: Progress) -> Schedule:
    """The oracle: levels of each quarter of the episode, and a depth, that earn most over all of
    it, found by coordinate search in the true world.

    Lives it is not judged on, the same for all that is compared (common random numbers).
    """
    best = Schedule(scope, (1.0,) * QUARTERS)
    value = worth(best, opening, lives, week)

    def tried(other: Schedule) -> bool:
        nonlocal best, value
        if other == best:
            return False
        found = worth(other, opening, lives, week)
        better = found > value
        if better:
            best, value = other, found
        return better

    for step, off in STEPS:
        for quarters in (range(QUARTERS), *([q] for q in range(QUARTERS))):
            # Up as long as it pays; where it never does, down.
            if not _climb(lambda f, q=quarters: tried(_moved(best, q, f)), step):
                _climb(lambda f, q=quarters: tried(_moved(best, q, f)), 1 / step)
        if not tried(replace(best, depth=min(best.depth + off, DEEPEST))):
            tried(replace(best, depth=max(best.depth - off, 0.0)))
    return best


def _climb(tried: Callable[[float], bool], step: float) -> bool:
    """Move as long as it pays; whether it ever did."""
    moved = False
    while tried(step):
        moved = True
    return moved


def _moved(schedule: Schedule, quarters: Sequence[int], factor: float) -> Schedule:
    """Other levels in some quarters, within what prices may be."""
    levels = list(schedule.levels)
    for quarter in quarters:
        levels[quarter] = float(np.clip(levels[quarter] * factor, 1 / SPAN, SPAN))
    return replace(schedule, levels=tuple(levels))
