"""Coupons: money off one unit of a product, for whoever holds one.

The shelf price stays what it is, for all others and for the model. A holder who has the coupon in
mind chooses as if the product cost that much less, until it is used: with the first purchase that
it is good for (`simulator.coupon_hands`). It may also bring the product to mind, which takes
nothing from others. How many have it in mind, and how strongly they answer, is assumed or told by a
trial (`simulator.coupon_answers`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Answer:
    """What holders do about a coupon."""

    noticed: float
    """Share of the holders who have it in mind. The others buy what they would without it, and do
    not use it."""
    strength: float
    """What it moves in the choices of those who do, over what as low a price at the shelf moves:
    at most 1."""
    words: str
    """What all of it rests on, sentences."""
    reminds: float = 0.0
    """What it adds beside, over what they buy of the needs of its products."""
    depth: float = 1.0
    """Share of the price from which on it does so; one that takes off less reminds by so much
    less."""

    def reminded(self, off: np.ndarray) -> np.ndarray:
        """(n,) purchases that it adds, over those of needs, where it takes a share off (n,)."""
        return self.reminds * np.minimum(off / self.depth, 1)


@dataclass(frozen=True)
class Coupon:
    """Money off one unit of any of some products, once, for each of some customers."""

    token: np.ndarray
    """(input tokens,) bool: of which products."""
    customer: np.ndarray
    """(customers,) bool: who holds it, of the cache's customers."""
    first: int
    last: int
    """Weeks in which it is good, both included."""
    share: float = 0.0
    """Of the price of a unit that it takes off."""
    pence: float | None = None
    """Or so much, at most the price."""
    redeemed: float | None = None
    """Share of its holders who use it, where that is assumed; else a trial has to tell."""
    answer: Answer | None = None
    """Found when it is simulated, if left out."""

    def good(self, week: int) -> bool:
        """Whether it can be used in a week."""
        return self.first <= week <= self.last

    def takes(self, pence: np.ndarray) -> np.ndarray:
        """(n,) pence off units that cost pence (n,), not rounded."""
        return pence * self.share if self.pence is None else np.minimum(pence, self.pence)
