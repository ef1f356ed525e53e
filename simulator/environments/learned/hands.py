"""Coupons in the hands of cards of the learned world, and what they add in a week."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np

from dbt_project.sample import Coupons
from dbt_project.sample.coupons import LASTS
from dbt_project.sample.keyed import children, root, uniform
from trainer.commands.errors import InputError

from ..books import NEVER
from .counts import counts
from .coupon_response import segment, usual_units
from .knowledge import Knowledge

_MORE, _TAKEN = range(10, 12)


@dataclass(frozen=True)
class Added:
    """What coupons add in a week, (H, C) each."""

    units: np.ndarray
    """Of the coupon's product."""
    taken: np.ndarray
    """Of these, what other products of the need lost."""
    used: np.ndarray
    """bool: whether the coupon was used, for one unit."""


class Hands:
    """Who holds which of the trial's C coupons, H cards; `copy` shares nothing that changes."""

    def __init__(self, known: Knowledge) -> None:
        self.known = known
        shape = known.rate.size, known.coupon.size
        self.until = np.zeros(shape, np.int64)
        self.rate = np.zeros(shape)
        """Units that each coupon adds on a trip while it is good."""
        self.unused = np.zeros(shape, bool)
        self._need_units = usual_units(known, known.coupon)[1]
        same = known.need[:, None] == known.need[known.coupon]
        self._last_trip = known.last_trip
        self._bought = np.stack(
            [known.bought[:, each].max(1, initial=NEVER) for each in same.T]
            or [np.zeros(shape[0])], axis=1,
        )  # fmt: skip
        self._same = same

    def copy(self) -> Hands:
        """Arrays are replaced, never changed in place."""
        return copy(self)

    def hand_out(self, new: Coupons, week: int) -> None:
        """Take in a week's coupons; a card keeps one of each. Raises InputError for coupons that no
        trial tells of."""
        if not len(new):
            return
        place = {int(product): at for at, product in enumerate(self.known.coupon)}
        at = np.array([place.get(int(product), -1) for product in new.product])
        if (at < 0).any() or not np.allclose(new.depth, self.known.coupon_depth[0]):
            raise InputError(
                f"the learned world knows the trial's {len(place)} coupons of "
                f"{self.known.coupon_depth[0]:.0%}, and no others"
            )
        until = np.where(new.until > 0, new.until, week + LASTS - 1)
        chosen = np.zeros(self.until.shape, np.int64)
        np.maximum.at(chosen, (new.household, at), until)
        fresh = chosen > 0
        cell = segment(week - 1 - self._last_trip, week - 1 - self._bought)
        self.until = np.where(fresh, chosen, self.until)
        self.rate = np.where(fresh, self.known.coupon_lift[cell] * self._need_units, self.rate)
        self.unused = self.unused | fresh

    def added(self, visits: np.ndarray, own: np.ndarray, week: int, run: int) -> Added:
        """What a week's trips (H,) bring; own: (H, C) units of coupons' products bought anyway."""
        good = self.until >= week
        mean = np.where(good, visits[:, None] * self.rate, 0.0)
        keys = children(root(run, week), mean.size)
        units = counts(mean.ravel(), uniform(keys, _MORE)).reshape(mean.shape)
        chance = uniform(keys, _TAKEN).reshape(mean.shape)
        taken = np.floor(units * self.known.coupon_taken + chance).astype(np.int64)
        used = good & self.unused & (own + units > 0)
        self.unused = self.unused & ~used
        return Added(units, np.minimum(taken, units), used)

    def note(self, visits: np.ndarray, who: np.ndarray, product: np.ndarray, week: int) -> None:
        """Take in who came, and who (I,) bought which product."""
        self._last_trip = np.where(visits > 0, week, self._last_trip)
        bought = self._bought.copy()
        for at, same in enumerate(self._same.T):
            bought[who[same[product]], at] = week
        self._bought = bought
