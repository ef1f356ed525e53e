"""A trial of coupons in the chain whose chances are known, as a log, and what policies truly earn.

Each household with a card gets no coupon with chance `NONE`, or one of the menu, all alike. Reward
is the household's profit until the coupons have run out. Nobody's weeks depend on another's, so a
household is a unit, and one round of a chain gives as many decisions as it has cards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dbt_project.sample.coupons import LASTS
from simulator.environments.books import Books
from simulator.environments.coupons import LATELY, Menu
from simulator.environments.opening import Episode, Opening

from .off_policy import Log

NONE = 0.5

Target = Callable[[Books, Menu], np.ndarray]
"""(H,) action of each household: 0 for no coupon, else 1 + its place on the menu."""


@dataclass(frozen=True)
class Trial:
    """A chain and its menu."""

    opening: Opening
    menu: Menu

    @property
    def actions(self) -> int:
        """K: none, or one of the coupons."""
        return self.menu.product.size + 1

    def log(self, run: int) -> Log:
        """The decisions and rewards of one trial, with the draws of a number."""
        episode = Episode(self.opening, run)
        chance = np.r_[NONE, np.full(self.actions - 1, (1 - NONE) / (self.actions - 1))]
        households = episode.books.last_trip.size
        action = np.random.default_rng(run).choice(self.actions, households, p=chance)
        features = self.features(episode.books)
        reward = self._lived(episode, action)
        return Log(features, action, chance[action], reward, np.arange(households))

    def features(self, books: Books) -> np.ndarray:
        """(H, 2 + C) spend, recency, and which needs of the menu were bought lately."""
        since = np.minimum(books.weeks - books.last_trip, 2 * LATELY) / LATELY
        lately = books.bought[:, self.menu.need] > books.weeks - LATELY
        return np.column_stack([books.spend, since, lately])

    def probabilities(self, target: Target) -> np.ndarray:
        """(H, K) of a target policy that draws nothing."""
        chosen = target(self.opening.start()[1], self.menu)
        return (chosen[:, None] == np.arange(self.actions)).astype(float)

    def earned(self, target: Target, run: int) -> float:
        """Profit of a household, the mean, with the target policy in the true world; pounds."""
        episode = Episode(self.opening, run)
        return float(self._lived(episode, target(episode.books, self.menu)).mean())

    def _lived(self, episode: Episode, action: np.ndarray) -> np.ndarray:
        """(H,) pounds until the coupons have run out."""
        given = action[:, None] == np.arange(1, self.actions)
        profit = np.zeros(len(action))
        for week in range(LASTS):
            actions = self.menu.actions(episode.world, given if week == 0 else given & False)
            profit += episode.step(actions).household_profit[: len(action)] / 100
        return profit


def nobody(books: Books, menu: Menu) -> np.ndarray:
    """No coupons."""
    return np.zeros(books.last_trip.size, np.int64)


def first(books: Books, menu: Menu) -> np.ndarray:
    """The first coupon of the menu for everybody."""
    return np.ones(books.last_trip.size, np.int64)


def not_bought(books: Books, menu: Menu) -> np.ndarray:
    """The first coupon of the menu whose need a household did not buy lately; else none."""
    idle = books.bought[:, menu.need] <= books.weeks - LATELY
    return np.where(idle.any(1), idle.argmax(1) + 1, 0)


def lapsing(books: Books, menu: Menu) -> np.ndarray:
    """For who has not come for four weeks, the first coupon whose need they bought lately."""
    bought = books.bought[:, menu.need] > books.weeks - LATELY
    gives = (books.weeks - books.last_trip >= LASTS) & bought.any(1)
    return np.where(gives, bought.argmax(1) + 1, 0)


TARGETS = {
    "nobody": nobody, "the first coupon for all": first, "what they did not buy": not_bought,
    "who has not come": lapsing,
}  # fmt: skip
