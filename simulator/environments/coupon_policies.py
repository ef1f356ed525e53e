"""Reference policies for coupons: who gets which, given an episode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dbt_project.sample import Actions
from dbt_project.sample.coupons import LASTS

from .coupons import LATELY, Menu
from .lives import FITTED
from .opening import Episode

LAPSED = 4
"""Weeks without a trip after which a household counts as lapsing."""
SHARE = 0.1
"""Share of the coupons that are given at random."""


def nobody(episode: Episode) -> Actions:
    """No coupons."""
    return episode.world.plan()


@dataclass(frozen=True)
class Everybody:
    """All coupons for each household with a card, every four weeks."""

    menu: Menu

    def __call__(self, episode: Episode) -> Actions:
        return _handed(self.menu, episode, lambda shape: np.ones(shape, bool))


@dataclass(frozen=True)
class AtRandom:
    """A tenth of these coupons, drawn at random."""

    menu: Menu

    def __call__(self, episode: Episode) -> Actions:
        rng = np.random.default_rng([episode.world.run, episode.passed])
        return _handed(self.menu, episode, lambda shape: rng.random(shape) < SHARE)


@dataclass(frozen=True)
class ByRecency:
    """For those who have not come for four weeks, every four weeks: the coupons whose needs they
    bought within the last 13 weeks."""

    menu: Menu

    def __call__(self, episode: Episode) -> Actions:
        books = episode.books
        lapsing = books.weeks - books.last_trip >= LAPSED
        lately = books.bought[:, self.menu.need] > books.weeks - LATELY
        return _handed(self.menu, episode, lambda shape: lapsing[:, None] & lately)


@dataclass(frozen=True)
class CouponOracle:
    """For each household, every four weeks, the coupons that add to its profit in these weeks, by
    trying every one in the true world.

    In copies with common random numbers, everybody gets the same coupon: households do not act on
    each other, so that one copy answers for all. What a coupon adds for one household is rare and
    noisy, so its mean over draws, none of them those of the judged life, is shrunk towards the
    mean of all households (empirical Bayes: Efron and Morris, 1975), and the coupon is given where
    that is above 0. What coupons do to each other, and weeks after the four, are not looked at.
    """

    menu: Menu
    copies: int = 6
    """Draws of the four weeks."""

    def __call__(self, episode: Episode) -> Actions:
        return _handed(self.menu, episode, lambda shape: self._worth_it(episode))

    def _worth_it(self, episode: Episode) -> np.ndarray:
        """(H, C) bool."""
        gain = np.stack([self._gains(episode, FITTED + i) for i in range(self.copies)])
        mean = gain.mean(0)
        of_all = mean.mean(1, keepdims=True)
        noise = gain.var(0, ddof=1).mean(1, keepdims=True) / self.copies
        differences = np.maximum(mean.var(1, keepdims=True) - noise, 0)
        share = differences / np.maximum(differences + noise, 1e-12)
        return (of_all + share * (mean - of_all) > 0).T

    def _gains(self, episode: Episode, run: int) -> np.ndarray:
        """(C, H) profit over four weeks with each coupon, less that with none, pence."""
        given = np.zeros((episode.books.last_trip.size, self.menu.product.size), bool)
        none = self._profit(episode.copy(run), given)
        profit = []
        for coupon in range(self.menu.product.size):
            given[:] = False
            given[:, coupon] = True
            profit.append(self._profit(episode.copy(run), given))
        return np.stack(profit) - none

    def _profit(self, trial: Episode, given: np.ndarray) -> np.ndarray:
        """(H,) profit until coupons given now have run out, pence."""
        earned = np.zeros(len(given))
        actions = self.menu.actions(trial.world, given)
        for _ in range(LASTS):
            earned += trial.step(actions).household_profit[: len(given)]
            if trial.at_its_end:
                break
            actions = nobody(trial)
        return earned


def _handed(
    menu: Menu, episode: Episode, given: Callable[[tuple[int, int]], np.ndarray]
) -> Actions:
    """The coupons of a table (H, C) if those handed out before are no longer good, else none."""
    if episode.passed % LASTS:
        return nobody(episode)
    return menu.actions(episode.world, given((episode.books.last_trip.size, menu.product.size)))
