"""Coupons in the hands of households."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

LASTS = 4
"""Weeks for which a coupon is good, unless it says otherwise."""


@dataclass(frozen=True)
class Coupons:
    """One element per coupon: good for one unit of a product, or of any product of a need."""

    household: np.ndarray
    product: np.ndarray
    """-1 for a coupon on a need."""
    need: np.ndarray
    """-1 for a coupon on a product."""
    depth: np.ndarray
    """Share of the shelf price taken off."""
    until: np.ndarray
    """Last week in which it is good; 0 lets the world set it."""

    @classmethod
    def none(cls) -> Coupons:
        """No coupons."""
        empty = np.zeros(0, np.int64)
        return cls(empty, empty, empty, np.zeros(0), empty)

    def copy(self) -> Coupons:
        """One that shares nothing with this one."""
        return Coupons(*(getattr(self, f.name).copy() for f in fields(self)))

    def __len__(self) -> int:
        return self.household.size

    def handed_out(self, new: Coupons, week: int) -> Coupons:
        """Those still good in a week, and new ones."""
        good = self.until >= week
        if good.all() and not len(new):
            return self
        until = np.where(new.until > 0, new.until, week + LASTS - 1)
        parts = [replace(new, until=until), self]
        keep = [np.ones(len(new), bool), good]
        return Coupons(
            *(
                np.concatenate([getattr(p, f.name)[k] for p, k in zip(parts, keep, strict=True)])
                for f in fields(self)
            )
        )
