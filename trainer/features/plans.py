"""Trips as a user of the model states them: planned, and finished.

Products are tokens, stores are rows of the table `stores`, kinds are codes: see `Chain` for how to
get them from the codes and labels of the raw data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from trainer.cache.schema import CODES_OF_CONTEXT

UNKNOWN_STORE = -1
"""The store of a trip to a store outside the vocabulary."""
UNDECLARED = (0, 0, 0, 0)
"""The kind of a trip if nothing is declared."""


@dataclass(frozen=True)
class TripPlan:
    """What is known of a trip in advance: when and where, and anything else that is known.

    Raises ValueError for an hour or a kind out of range.
    """

    date: date
    hour: int
    """Of the day, 0 to 23."""
    store: int
    """Row of `stores`, or `UNKNOWN_STORE`."""
    kind: tuple[int, int, int, int] = UNDECLARED
    """Codes of basket size, price sensitivity, type and focus; 0 where not declared."""
    visible: tuple[int, ...] = ()
    """Tokens of the items that are in the basket already."""
    pence: np.ndarray | None = None
    """(visible, 3) float32: price, previous price and base price of each visible item; the chain's
    (`ShelfPrices`) if left out."""

    def __post_init__(self) -> None:
        if not 0 <= self.hour <= 23:
            raise ValueError(f"hour: expected 0 to 23, not {self.hour}")
        for code, (name, codes) in zip(self.kind, CODES_OF_CONTEXT.items(), strict=True):
            if not 0 <= code < codes:
                raise ValueError(f"kind: {name} is a code from 0 to {codes - 1}, not {code}")


@dataclass(frozen=True)
class FinishedTrip:
    """A trip with its basket.

    Raises ValueError for an empty basket, or columns of items that differ in length.
    """

    plan: TripPlan
    """When and where, and its true kind (codes; 0 where it is not known)."""
    tokens: np.ndarray
    """(n,) int64: products of the vocabulary, or fallbacks of the categories of others."""
    quantities: np.ndarray
    """(n,) int64 units; a weighed portion is 1."""
    spend_pence: int
    """Spend of the whole basket."""
    products: np.ndarray | None = None
    """(n,) int64 identities of products, since unknown ones share fallbacks; tokens if left out."""
    pence: np.ndarray | None = None
    """(n, 3) float32: price, previous price, base price of each item; the chain's if left out."""

    def __post_init__(self) -> None:
        if not len(self.tokens):
            raise ValueError("tokens: a finished trip has at least one item")
        for name in ("quantities", "products", "pence"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.tokens):
                raise ValueError(f"{name}: expected {len(self.tokens)} items, not {len(values)}")

    @property
    def identities(self) -> np.ndarray:
        """(n,) int64: one number per product."""
        return self.tokens if self.products is None else self.products
