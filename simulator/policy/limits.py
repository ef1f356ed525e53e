"""Guard rails: what no policy may do, kept by changing its actions, and counted where broken."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from dbt_project.sample import Actions
from dbt_project.sample.coupons import LASTS
from simulator.environments.books import base_prices
from simulator.environments.lives import Policy
from simulator.environments.opening import Episode
from trainer.commands.errors import InputError
from trainer.commands.options import plain_number

SLACK = 5e-3
"""By which sums over products may miss a limit: prices are whole pence."""
ROUNDS = 8


@dataclass(frozen=True)
class Limits:
    """Limits on the prices of a week, and on coupons the budget. Sums are by usual sales, those
    before the episode."""

    most_move: float = 0.1
    """Share by which a regular price may differ from the week before."""
    deepest: float = 0.5
    """Largest share that a promotion takes off."""
    least_margin: float = 0.0
    """Share of the price charged that is left after the unit cost, suppliers' part added."""
    index: float = 1.0
    """Highest price level, charged over base prices."""
    budget: float = 0.03
    """Largest share of usual revenue that promotions cost, suppliers' part taken off; or that the
    coupons of four weeks take off."""
    endings: tuple[int, ...] = (0, 5, 9)
    """Last digits of regular prices that change; all if empty."""

    def __post_init__(self) -> None:
        """Raises InputError for a limit out of range."""
        ranges = {
            "most_move": (0.01, 10), "deepest": (0, 0.95), "least_margin": (-10, 0.95),
            "index": (0.1, 10), "budget": (0, 1),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(
                    f"limits: {name} must be from {low} to {high}, not {getattr(self, name)}"
                )
        if any(type(end) is not int or not 0 <= end <= 9 for end in self.endings):
            raise InputError("limits: endings must be last digits, 0 to 9")

    @classmethod
    def of(cls, values: dict) -> Limits:
        """From a YAML file's part. Raises InputError for an unknown limit or value."""
        known = {f.name for f in fields(cls)}
        if not isinstance(values, Mapping):
            raise InputError(f"limits: expected names and values, not {values!r:.80}")
        if unknown := sorted(values.keys() - known):
            raise InputError(f"limits: unknown {unknown[0]}. Known are {', '.join(sorted(known))}")
        endings = values.get("endings", cls.endings)
        if not isinstance(endings, list | tuple):
            raise InputError(f"limits: endings must be a list of digits, not {endings!r:.80}")
        digits = tuple(int(d) if re.fullmatch("[0-9]", d) else d for d in map(str, endings))
        numbers = {k: plain_number(str(v)) for k, v in values.items() if k != "endings"}
        for name, number in numbers.items():
            if math.isnan(number):
                raise InputError(f"limits: {name} must be a number, not {values[name]!r:.80}")
        return cls(**numbers, endings=digits)

    def keep(self, actions: Actions, episode: Episode) -> Actions:
        """The actions moved into the limits: prices to the nearest that may be, the price level by
        a common factor (to the lowest prices there may be, where nothing else is low enough), and
        promotions that suppliers pay least of left out first."""
        week = _Week(actions, episode)
        low, high = self._bounds(week)
        factor = 1.0
        for attempt in range(ROUNDS + 1):
            wanted = low if attempt == ROUNDS else np.clip(week.regular * factor, low, high)
            regular = self._on_ladder(wanted, low, high, week.before)
            depth = self._depth(regular, week)
            level = week.level(regular, depth)
            if level <= self.index:
                break
            factor *= (self.index / level) ** 1.5  # more than needed: ladder and bounds give back
        return replace(actions, regular=regular.astype(np.int64), depth=depth)

    def broken(self, actions: Actions, episode: Episode) -> list[str]:
        """Names of the limits that actions do not keep."""
        week = _Week(actions, episode)
        low, high = self._bounds(week)
        regular, depth, on_sale = week.regular, week.depth, week.on_sale
        changed = (regular != week.before) & on_sale
        ladder = bool(self.endings) and ~np.isin(regular % 10, self.endings)
        margin = week.margin(regular, depth)
        # Where prices may not move far enough, the least that they may be is what is asked for.
        least = self._on_ladder(low, low, high, week.before)
        forced = (depth == 0) & (regular >= least)
        lowest = max(self.index, week.level(least, depth))
        found = {
            "most_move": (changed & ((regular < low) | (regular > high))).any(),
            "deepest": (depth[on_sale] > self.deepest + 1e-9).any(),
            "least_margin": (on_sale & ~forced & (margin < self.least_margin - 2e-2)).any(),
            "index": week.level(regular, depth) > lowest + SLACK,
            "budget": week.spent(regular, depth) > self.budget + SLACK / 10,
            "endings": (changed & ladder).any(),
        }
        return [name for name, is_broken in found.items() if is_broken]

    def afford(self, given: np.ndarray, expected: np.ndarray, episode: Episode) -> np.ndarray:
        """(H, C) bool, coupons that the budget allows: all that are given, or those of cards drawn
        by lot, so that no group comes first. expected: (H, C) pence that each takes off, on
        average, until it has run out."""
        cost = np.where(given, expected, 0.0).sum(1)
        most = 100 * self.budget * LASTS * episode.books.usual.revenue
        if cost.sum() <= most:
            return given
        order = np.random.default_rng([episode.world.run, episode.passed]).permutation(cost.size)
        within = np.empty(cost.size, bool)
        within[order] = np.cumsum(cost[order]) <= most
        return given & within[:, None]

    def overspent(self, off: np.ndarray, usual: float) -> int:
        """Number of rounds of four weeks in which coupons took off more than the budget. off: (W,)
        pounds, from a week on in which coupons were handed out; usual: revenue, pounds a week."""
        sums = np.add.reduceat(off, np.arange(0, off.size, LASTS))
        return int((sums > (self.budget + SLACK / 10) * LASTS * usual).sum())

    def _bounds(self, week: _Week) -> tuple[np.ndarray, np.ndarray]:
        """(N,) lowest and highest regular price; a price may always move by a penny. What is below
        the least margin has to rise."""
        move = np.maximum(week.before * self.most_move, 1)
        low, high = np.maximum(np.ceil(week.before - move), 1), np.floor(week.before + move)
        return np.clip(np.ceil(week.cost / (1 - self.least_margin)), low, high), high

    def _on_ladder(self, price, low, high, before) -> np.ndarray:
        """The nearest price with an allowed ending; the one before where none is within reach."""
        price = np.rint(price)
        if not self.endings:
            return price
        offset = np.arange(-9, 10)
        near = price[:, None] + offset
        fits = np.isin(near % 10, self.endings) & (near >= low[:, None]) & (near <= high[:, None])
        away = np.where(fits, np.abs(offset), 99)
        best = near[np.arange(price.size), away.argmin(1)]
        return np.where((away.min(1) < 99) & (price != before), best, before)

    def _depth(self, regular: np.ndarray, week: _Week) -> np.ndarray:
        """(N,) promotions as deep as wanted, margin and budget allow, in whole hundredths."""
        left = 1 - self.least_margin - week.funding
        room = regular * (1 - self.least_margin) - week.cost
        most = np.where(left > 1e-9, room / np.maximum(regular * left, 1e-9), np.inf)
        depth = np.clip(np.minimum(week.depth, most), 0, self.deepest)
        depth = np.floor(100 * depth + 1e-6) / 100
        cost = week.costs(regular, depth)
        order = np.lexsort((np.arange(cost.size), -week.funding))  # most paid of first
        spent = np.cumsum(cost[order])
        within = np.empty(cost.size, bool)
        within[order] = (spent <= self.budget) | (cost[order] <= 0)
        return np.where(within, depth, 0.0)


class _Week:
    """What limits look at, (N,) each."""

    def __init__(self, actions: Actions, episode: Episode) -> None:
        books, setting = episode.books, episode.world.setting
        week = episode.world.week - 1
        self.regular = np.rint(np.atleast_2d(actions.regular).mean(0))
        self.depth = np.atleast_2d(actions.depth).mean(0)
        self.on_sale = np.atleast_2d(actions.assortment).any(0)
        self.before = np.rint(np.where(books.regular > 0, books.regular, self.regular))
        self.cost = setting.economy.cost[:, week]
        self.funding = setting.economy.funding[:, week]
        self.base = base_prices(episode.world)
        worth = books.usual.units * setting.unit_price * self.on_sale + 1e-9
        self.weight = worth / worth.sum()

    def level(self, regular: np.ndarray, depth: np.ndarray) -> float:
        """Price level, charged over base prices."""
        charged = np.maximum(regular * (1 - depth), 1) / self.base
        return float(np.exp((self.weight * np.log(charged)).sum()))

    def costs(self, regular: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """What promotions cost the chain, shares of usual revenue."""
        return self.weight * regular / self.base * depth * (1 - self.funding)

    def spent(self, regular: np.ndarray, depth: np.ndarray) -> float:
        return float(self.costs(regular, depth).sum())

    def margin(self, regular: np.ndarray, depth: np.ndarray) -> np.ndarray:
        price = np.maximum(regular * (1 - depth), 1)
        return (price - self.cost + self.funding * regular * depth) / price


@dataclass(frozen=True)
class Limited:
    """A policy whose actions are kept within limits."""

    policy: Policy
    limits: Limits

    def __call__(self, episode: Episode) -> Actions:
        return self.limits.keep(self.policy(episode), episode)
