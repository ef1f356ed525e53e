"""Reference policies for coupons: who gets which, given an episode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dbt_project.sample import Actions
from dbt_project.sample.coupons import LASTS

from .coupons import Menu
from .lives import FITTED
from .opening import Episode

LAPSED = 4
"""Weeks without a trip after which a household counts as lapsing."""
SHARE = 0.1
"""Share of the households that get a coupon at random."""


def _handing_out(episode: Episode) -> bool:
    """Whether the coupons handed out before are no longer good."""
    return episode.passed % LASTS == 0


def nobody(episode: Episode) -> Actions:
    """No coupons."""
    return episode.world.plan()


@dataclass(frozen=True)
class Everybody:
    """A coupon for each household with a card every four weeks, another one each time."""

    menu: Menu

    def __call__(self, episode: Episode) -> Actions:
        if not _handing_out(episode):
            return nobody(episode)
        who = np.arange(episode.books.last_trip.size)
        return self.menu.actions(
            episode.world, who, (who + episode.passed // LASTS) % self.menu.product.size
        )


@dataclass(frozen=True)
class AtRandom:
    """The like for a tenth of them, drawn at random, with coupons drawn at random."""

    menu: Menu

    def __call__(self, episode: Episode) -> Actions:
        if not _handing_out(episode):
            return nobody(episode)
        rng = np.random.default_rng([episode.world.run, episode.passed])
        who = np.flatnonzero(rng.random(episode.books.last_trip.size) < SHARE)
        return self.menu.actions(
            episode.world, who, rng.integers(self.menu.product.size, size=who.size)
        )


@dataclass(frozen=True)
class ByRecency:
    """For those who have not come for four weeks: the coupon whose need they bought last."""

    menu: Menu

    def __call__(self, episode: Episode) -> Actions:
        books = episode.books
        if not _handing_out(episode):
            return nobody(episode)
        who = np.flatnonzero(books.weeks - books.last_trip >= LAPSED)
        last = books.bought[who][:, self.menu.need]
        return self.menu.actions(episode.world, who, last.argmax(1))


@dataclass(frozen=True)
class CouponOracle:
    """For each household the coupon that adds most to its profit over the coupon's four weeks,
    or none, by trying every one in the true world.

    In copies with common random numbers, everybody gets the same coupon: households do not act on
    each other, so that one copy answers for all. Coupons are given where what they add, averaged
    over draws that are not those of the judged life, is above its standard error. Weeks after the
    four are not looked at.
    """

    menu: Menu
    copies: int = 6
    """Draws of the four weeks."""

    def __call__(self, episode: Episode) -> Actions:
        if not _handing_out(episode):
            return nobody(episode)
        gain = np.stack([self._gains(episode, FITTED + i) for i in range(self.copies)])
        mean, error = gain.mean(0), gain.std(0, ddof=1) / np.sqrt(self.copies)
        best = np.where(mean > error, mean, 0.0).argmax(0)
        who = np.flatnonzero(best > 0)
        return self.menu.actions(episode.world, who, best[who] - 1)

    def _gains(self, episode: Episode, run: int) -> np.ndarray:
        """(C + 1, H) profit over four weeks with no coupon, or each, less that with none."""
        everybody = np.arange(episode.books.last_trip.size)
        profit = []
        for coupon in (None, *range(self.menu.product.size)):
            trial, earned = episode.copy(run), np.zeros(everybody.size)
            for week in range(LASTS):
                if trial.at_its_end:
                    break
                given = coupon is not None and week == 0
                actions = (
                    self.menu.actions(trial.world, everybody, coupon) if given else nobody(trial)
                )
                earned += trial.step(actions).household_profit[: everybody.size]
            profit.append(earned)
        return np.stack(profit) - profit[0]
