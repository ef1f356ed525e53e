"""Coupons of a life: how many are given and used, what they take off, and for whom."""

from __future__ import annotations

from typing import Any

import numpy as np

from dbt_project.sample import Actions, WeekResult, World
from dbt_project.sample.households import CLASSES
from simulator.environments.opening import Episode

A_YEAR = 52


class CouponCount:
    """Coupons of a life, H cards; `note` takes in a week."""

    def __init__(self, episode: Episode) -> None:
        self.off = np.zeros(episode.opening.weeks)
        """(W,) pounds that coupons took off."""
        self._given, self._used, self._off = np.zeros((3, episode.books.last_trip.size))

    def note(self, episode: Episode, at: int, actions: Actions, result: WeekResult) -> None:
        """at: the week, from 0; result: what came of the actions in it."""
        cards = self._given.size
        self._given += np.bincount(actions.coupons.household, minlength=cards)
        if isinstance(episode.world, World):
            r = result.receipts
            who = r.household[r.trip]
            card = who < cards  # anonymous households hold none
            off = np.bincount(who[card], result.discount[card], cards)
            used = np.bincount(who[card], result.discount[card] > 0, cards)
        else:
            off, used = episode.world.saved.sum(1), (episode.world.saved > 0).sum(1)
        self.off[at] = off.sum() / 100
        self._off += off / 100
        self._used += used

    def figures(self, world: Any) -> dict[str, Any]:
        """`off` (pounds, by week), coupons `given` and `used`, and `of_class`: by class of price
        sensitivity, coupons given to a card a year and pounds taken off for it a year; the true
        world alone knows the classes."""
        found = {
            "off": np.round(self.off, 4).tolist(),
            "given": float(self._given.sum()), "used": float(self._used.sum()), "of_class": None,
        }  # fmt: skip
        if isinstance(world, World):
            label = world.setting.households.sensitivity[: self._given.size]
            years = np.bincount(label, minlength=len(CLASSES)) * self.off.size / A_YEAR
            found["of_class"] = {
                name: (np.bincount(label, each, len(CLASSES)) / np.maximum(years, 1e-9)).tolist()
                for name, each in (("given", self._given), ("off", self._off))
            }
        return found
