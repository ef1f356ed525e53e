"""Trips as a user of the model states them: planned, and finished.

Products are tokens, stores are rows of the table `stores`, kinds are codes: see `Chain` for how to
get them from the codes and labels of the raw data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import index
from typing import Any

import numpy as np

from trainer.cache.schema import CONTEXT, MAX_KINDS

UNKNOWN_STORE = -1
"""The store of a trip to a store outside the vocabulary."""
UNDECLARED = (0, 0, 0, 0)
"""The kind of a trip if nothing is declared."""
MOST = 2**31
"""Bound on quantities and spend, so that no sum over a customer's trips overflows."""


@dataclass(frozen=True)
class TripPlan:
    """What is known of a trip in advance: when and where, and anything else that is known.

    Raises ValueError for values of another type or out of range. Whether the chain has the kind,
    the store and the tokens shows where the plan meets it (`describe`, `plan_questions`).
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
        if not isinstance(self.date, date) or isinstance(self.date, datetime):
            raise ValueError(f"date: expected a datetime.date without a time, not {self.date!r}")
        kind, visible = _sequence("kind", self.kind), _sequence("visible", self.visible)
        if len(kind) != len(CONTEXT):
            raise ValueError(f"kind: expected {len(CONTEXT)} codes, not {len(kind)}")
        for name, code in zip(CONTEXT, kind, strict=True):
            _whole(f"kind: {name}", code, 0, MAX_KINDS)
        pence = None if self.pence is None else _prices("pence", self.pence, len(visible))
        _set(
            self, hour=_whole("hour", self.hour, 0, 23), store=_whole("store", self.store),
            kind=kind, visible=visible, pence=pence,
        )  # fmt: skip


@dataclass(frozen=True)
class FinishedTrip:
    """A trip with its basket.

    Raises ValueError for an empty basket, columns of items that differ in length, and values of
    another type or out of range.
    """

    plan: TripPlan
    """When and where, and its true kind (codes; 0 where it is not known)."""
    tokens: np.ndarray
    """(n,) int64: products of the vocabulary, or fallbacks of the categories of others."""
    quantities: np.ndarray
    """(n,) int64 units, at least 1; a weighed portion is 1."""
    spend_pence: int
    """Spend of the whole basket."""
    products: np.ndarray | None = None
    """(n,) int64 identities of products, since unknown ones share fallbacks; tokens if left out."""
    pence: np.ndarray | None = None
    """(n, 3) float32: price, previous price, base price of each item; the chain's if left out."""

    def __post_init__(self) -> None:
        if not isinstance(self.plan, TripPlan):
            raise ValueError(f"plan: expected a TripPlan, not {type(self.plan).__name__}")
        tokens = _integers("tokens", self.tokens)
        if not len(tokens):
            raise ValueError("tokens: a finished trip has at least one item")
        columns = {
            name: _integers(name, getattr(self, name), len(tokens))
            for name in ("quantities", "products")
            if getattr(self, name) is not None
        }
        quantities = columns["quantities"]
        if ((quantities < 1) | (quantities > MOST)).any():
            raise ValueError(f"quantities: expected units from 1 to {MOST}")
        if self.pence is not None:
            columns["pence"] = _prices("pence", self.pence, len(tokens))
        spend = _whole("spend_pence", self.spend_pence, 0, MOST)
        _set(self, tokens=tokens, spend_pence=spend, **columns)

    @property
    def identities(self) -> np.ndarray:
        """(n,) int64: one number per product."""
        return self.tokens if self.products is None else self.products


def _set(part: Any, **values: Any) -> None:
    """Set fields of a frozen dataclass while it is made."""
    for name, value in values.items():
        object.__setattr__(part, name, value)


def _whole(name: str, value: Any, lowest: int = -MOST, highest: int = MOST) -> int:
    """A whole number of any type as int."""
    try:
        number = index(value)
    except TypeError:
        raise ValueError(f"{name}: expected a whole number, not {value!r}") from None
    if not lowest <= number <= highest:
        raise ValueError(f"{name}: expected {lowest} to {highest}, not {number}")
    return number


def _sequence(name: str, values: Any) -> tuple[int, ...]:
    """Whole numbers as a tuple of int."""
    if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray)):
        raise ValueError(f"{name}: expected a tuple of whole numbers, not {values!r}")
    return tuple(_whole(name, value) for value in values)


def _integers(name: str, values: Any, length: int | None = None) -> np.ndarray:
    """Whole numbers as an array of its own, (n,) int64."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"{name}: expected whole numbers of shape (n,), not {array.dtype} of "
            f"shape {array.shape}"
        )
    if length is not None and len(array) != length:
        raise ValueError(f"{name}: expected {length} items, not {len(array)}")
    return array.astype(np.int64)


def _prices(name: str, values: Any, items: int) -> np.ndarray:
    """Prices of items as an array of its own, (items, 3) float32."""
    array = np.array(values)
    if array.dtype.kind not in "iuf" or not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(f"{name}: expected finite prices from 0")
    if array.shape != (items, 3):
        raise ValueError(f"{name}: expected 3 prices of {items} items, not shape {array.shape}")
    return array.astype(np.float32)
