"""Trips and their items as plain arrays: real ones, copies of the past, and simulated ones.

Shape letters: T trips, I items.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trainer.cache.ragged import offsets, ranges
from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.commands.errors import InputError


@dataclass(frozen=True)
class TripSet:
    """Trips in the order of customers, then of time; all rows are those of one cache."""

    customer: np.ndarray
    """(T,) int64 customers row."""
    day: np.ndarray
    """(T,) int64 days row."""
    hour: np.ndarray
    """(T,) int64."""
    store: np.ndarray
    """(T,) int64 stores row; one more than there are for a store that the cache does not have."""
    kind: np.ndarray
    """(T, 4) int64 codes of the kind of trip, `CONTEXT`; 0 unknown."""
    spend: np.ndarray
    """(T,) int64 pence paid for the whole basket."""
    item_offsets: np.ndarray
    """(T + 1,) int64: items of a trip, offsets[i]..offsets[i + 1]."""
    token: np.ndarray
    """(I,) int64 products 1..N, or fallback tokens of categories; ascending within a trip."""
    quantity: np.ndarray
    """(I,) int64 units; a weighed portion is 1."""

    @classmethod
    def of(
        cls, *, customer: np.ndarray, day: np.ndarray, hour: np.ndarray, store: np.ndarray,
        kind: np.ndarray, spend: np.ndarray, items: np.ndarray, token: np.ndarray,
        quantity: np.ndarray,
    ) -> TripSet:  # fmt: skip
        """A set of trips in any order, as a simulation makes them.

        items (T,): how many items each trip has, one after the other in token and quantity (I,);
        the rest is as above. Raises InputError where the arrays do not fit each other, a trip has
        no item, or holds a product twice.
        """
        trips = [
            np.asarray(column, np.int64) for column in (customer, day, hour, store, spend, items)
        ]
        kind, token, quantity = (np.asarray(each, np.int64) for each in (kind, token, quantity))
        count, items = len(trips[0]), trips[-1]
        if {column.shape for column in trips} != {(count,)} or kind.shape != (count, len(CONTEXT)):
            raise InputError("trips: every column needs one value a trip, the kind four")
        if token.shape != quantity.shape or token.shape != (items.sum(),):
            raise InputError(
                f"trips: {items.sum()} items by trip, but {len(token)} tokens and "
                f"{len(quantity)} quantities"
            )
        if (items < 1).any() or (quantity < 1).any():
            raise InputError("trips: each needs an item, and each item a quantity, of 1 or more")
        order = np.lexsort((trips[2], trips[1], trips[0]))
        within = np.lexsort((token, np.repeat(np.argsort(order), items)))
        customer, day, hour, store, spend, items = (column[order] for column in trips)
        found = cls(
            customer, day, hour, store, kind[order], spend, offsets(items),
            token[within], quantity[within],
        )  # fmt: skip
        twice = (np.diff(found.token) == 0) & (np.diff(found.trip) == 0)
        if twice.any():
            raise InputError(f"trips: product {found.token[:-1][twice][0]} twice in one trip")
        return found

    @classmethod
    def read(cls, cache: TensorCache, rows: np.ndarray) -> TripSet:
        """Trips of a cache: rows (T,) ascending."""
        starts = cache["trips.item_offsets"][rows].astype(np.int64)
        items = cache["trips.item_offsets"][rows + 1].astype(np.int64) - starts
        chosen = ranges(starts, items)
        trips = np.diff(cache["customers.trip_offsets"].astype(np.int64))
        columns = {
            name: cache[f"trips.{column}"][rows].astype(np.int64)
            for name, column in (
                ("day", "day"), ("hour", "hour"), ("store", "store"), ("spend", "spend_pence"),
            )
        }  # fmt: skip
        return cls(
            customer=np.repeat(np.arange(len(trips)), trips)[rows],
            kind=np.stack([cache[f"trips.{name}"][rows].astype(np.int64) for name in CONTEXT], 1),
            item_offsets=offsets(items),
            token=cache["items.token"][chosen].astype(np.int64),
            quantity=cache["items.quantity"][chosen].astype(np.int64),
            **columns,
        )

    def __len__(self) -> int:
        return len(self.customer)

    @cached_property
    def items(self) -> np.ndarray:
        """(T,) int64: how many items each trip has."""
        return np.diff(self.item_offsets)

    @cached_property
    def trip(self) -> np.ndarray:
        """(I,) int64: the trip of each item."""
        return np.repeat(np.arange(len(self)), self.items)

    @cached_property
    def units(self) -> np.ndarray:
        """(T,) int64: the sum of a trip's quantities."""
        return np.bincount(self.trip, self.quantity, len(self)).astype(np.int64)

    def take(self, trips: np.ndarray, day: np.ndarray | None = None) -> TripSet:
        """Some trips, one more than once if it stands there so: indices (n,) or (T,) bool.

        day: (n,) days to put them on; without, their own, and then indices are ascending.
        """
        trips = np.flatnonzero(trips) if trips.dtype == bool else trips
        if day is not None:
            order = np.lexsort((self.hour[trips], day, self.customer[trips]))
            trips, day = trips[order], day[order]
        items = self.items[trips]
        chosen = ranges(self.item_offsets[trips], items)
        return TripSet(
            self.customer[trips], self.day[trips] if day is None else day, self.hour[trips],
            self.store[trips], self.kind[trips], self.spend[trips], offsets(items),
            self.token[chosen], self.quantity[chosen],
        )  # fmt: skip
