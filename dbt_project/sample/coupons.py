"""Coupons in the hands of households, and what they do.

A coupon takes a share d off one unit of a product, or of any product of a need. For its holder, and
nobody else,

- a product thought of in the need is left for the coupon's product p with the probability that
  weight m = (1 - d)^(-KAPPA eps_p) instead of 1 moves a choice: s_p (m - 1) / (1 + s_p (m - 1));
- the price that the household compares with its reference price is (1 - d) times the shelf's;
- on the week's first trip it brings the product to mind, with probability
  REMINDER x min(6 share_hk, 1) x (1 - 1 / m), share_hk the need's share of what comes to the
  household's mind.

It is used with the first purchase that it is good for.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from .draw import starts, within
from .keyed import child, children, root, uniform
from .offer import Offer, affordable

if TYPE_CHECKING:
    from .memory import Memory
    from .setting import Setting

LASTS = 4
"""Weeks for which a coupon is good, unless it says otherwise."""
NEEDS_A_BASKET = 6.0
_SWITCH, _COUPON = 120, 121


@dataclass(frozen=True)
class Coupons:
    """One element per coupon, by household where they are in hand."""

    household: np.ndarray
    product: np.ndarray
    """-1 for a coupon on a need."""
    need: np.ndarray
    """-1 for a coupon on a product."""
    depth: np.ndarray
    """Share of the shelf price taken off."""
    until: np.ndarray
    """Last week in which it is good; 0 stands for the `LASTS`th from now."""

    @classmethod
    def none(cls) -> Coupons:
        """No coupons."""
        empty = np.zeros(0, np.int64)
        return cls(empty, empty, empty, np.zeros(0), empty)

    @classmethod
    def on_products(cls, household, product, depth) -> Coupons:
        """Coupons on products; arrays of one length, or numbers that hold for all."""
        household, product, depth = np.broadcast_arrays(household, product, depth)
        rest = np.full(household.shape, -1)
        return cls(household, product, rest, depth, np.zeros(household.shape, np.int64))

    @classmethod
    def on_needs(cls, household, need, depth) -> Coupons:
        """The like on needs."""
        household, need, depth = np.broadcast_arrays(household, need, depth)
        rest = np.full(household.shape, -1)
        return cls(household, rest, need, depth, np.zeros(household.shape, np.int64))

    def copy(self) -> Coupons:
        """One that shares nothing with this one."""
        return Coupons(*(getattr(self, f.name).copy() for f in fields(self)))

    def __len__(self) -> int:
        return self.household.size

    def only(self, at: np.ndarray) -> Coupons:
        """The coupons at positions."""
        return Coupons(*(getattr(self, f.name)[at] for f in fields(self)))

    def handed_out(self, new: Coupons, week: int, need_of: np.ndarray) -> Coupons:
        """Those still good in a week and new ones, of which a household keeps one for each need:
        the deepest, of these the one good longest. need_of: (products,) the need of each product.
        """
        good = self.only(np.flatnonzero(self.until >= week))
        if not len(new):
            return good
        until = np.where(new.until > 0, new.until, week + LASTS - 1)
        new = replace(new, until=until)
        every = Coupons(
            *(np.concatenate([getattr(x, f.name) for x in (good, new)]) for f in fields(self))
        )
        need = every.needs(need_of)
        order = np.lexsort((-every.until, -every.depth, need, every.household))
        key = every.household[order] * (need.max() + 1) + need[order]
        return every.only(order[starts(key)])

    def needs(self, need_of: np.ndarray) -> np.ndarray:
        """The need of each coupon."""
        return np.where(self.product >= 0, need_of[self.product], self.need)

    def _found(self, s: Setting, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For cells (household x needs + need) the coupon of each, and whether there is one."""
        own = self.household * s.needs + self.needs(s.catalogue.need)
        at = np.minimum(np.searchsorted(own, cell), own.size - 1)
        return at, own[at] == cell

    def temptation(
        self, s: Setting, offer: Offer, who, product, buyable, key
    ) -> tuple[np.ndarray, np.ndarray]:
        """Products thought of after a look at the coupons, and the log of what they take off."""
        c = s.catalogue
        at, held = self._found(s, who * s.needs + c.need[product])
        hit = np.flatnonzero(held & buyable)
        coupon, who = at[hit], who[hit]
        wanted = self.product[coupon]
        region, group = s.households.region[who], s.households.sensitivity[who]
        weight = self._pull(s, who, wanted, self.depth[coupon]) - 1
        weight *= s.share[group, wanted]
        there = (wanted >= 0) & offer.available[region, wanted]
        switch = there & (uniform(key[hit], _SWITCH) < weight / (1 + weight))
        product = product.copy()
        product[hit] = np.where(switch, wanted, product[hit])
        off = np.zeros(product.size, np.float32)
        good = (wanted < 0) | (product[hit] == wanted)
        off[hit] = np.where(good, np.log1p(-self.depth[coupon]), 0)
        return product, off

    def _pull(self, s: Setting, who, product, depth) -> np.ndarray:
        """m: how many times likelier a choice becomes."""
        strength = s.sensitivity[who] * s.catalogue.elasticity[product]
        return (1 - depth) ** -strength

    def reminders(
        self, s: Setting, m: Memory, offer: Offer, at: np.ndarray, week: int, run: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For coupons at positions: the product each brings to mind (-1 for none), the chance
        that it does, and keys of draws.
        """
        some, c = self.only(at), s.catalogue
        who, need = some.household, some.needs(s.catalogue.need)
        # A coupon on a need reminds of the need's most popular product.
        group = s.households.sensitivity[who]
        product = np.where(some.product >= 0, some.product, s.favourite[need])
        region = s.households.region[who]
        product = np.where(offer.available[region, product], product, -1)

        r = s.repertoire
        first, size = r.bounds[who, 0], r.bounds[who, -1] - r.bounds[who, 0]
        owner = np.repeat(np.arange(who.size), size)
        pair = np.repeat(first, size) + within(size)
        weight = np.where(m.product[pair] >= 0, r.weight[pair], 0.0)
        of_need = weight * (c.need[m.product[pair]] == need[owner])
        total = np.bincount(owner, weight, who.size)
        own = np.bincount(owner, of_need, who.size) / np.maximum(total, 1e-9)
        loyalty = s.households.loyalty[who]
        share = loyalty * own + (1 - loyalty) * s.need_share[group, need]
        chance = s.behaviour.reminder * np.minimum(NEEDS_A_BASKET * share, 1)
        chance *= 1 - 1 / self._pull(s, who, product, some.depth)
        chance *= affordable(offer.log_ratio[region, product] + np.log1p(-some.depth))
        key = children(root(s.config.seed, run, week, _COUPON), s.households.rate.size)[who]
        return product, chance, child(key, need % 4096)

    def redeemed(self, s: Setting, who, product) -> tuple[np.ndarray, Coupons]:
        """The share that coupons take off one unit of each item, and the coupons left.

        who, product: of the items, in the order of trips.
        """
        at, held = self._found(s, who * s.needs + s.catalogue.need[product])
        good = held & ((self.product[at] < 0) | (self.product[at] == product))
        item = np.flatnonzero(good)
        used, first = np.unique(at[item], return_index=True)
        share = np.zeros(product.size)
        share[item[first]] = self.depth[used]
        left = np.ones(len(self), bool)
        left[used] = False
        return share, self.only(np.flatnonzero(left))
