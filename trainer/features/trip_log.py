"""The recent trips of one customer, from which the purchase history is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trainer.features.purchases import HISTORY_TRIPS

TRIP = np.dtype(
    [("day", "<i4"), ("hour", "u1"), ("store", "<i4"), ("kind", "u1", 4), ("items", "<i4")]
)
"""Day index, hour, store (row + 1, 0 unknown), codes of the kind, number of items."""


@dataclass(frozen=True)
class TripLog:
    """The last `HISTORY_TRIPS` trips, oldest first: 17 bytes a trip and 4 an item."""

    trips: np.ndarray
    """(n,) of dtype `TRIP`."""
    tokens: np.ndarray
    """(items,) int32, trip after trip."""

    @classmethod
    def empty(cls) -> TripLog:
        """Before the first trip."""
        return cls(np.empty(0, TRIP), np.empty(0, np.int32))

    def append(
        self, day: int, hour: int, store: int, kind: tuple[int, ...], tokens: np.ndarray
    ) -> TripLog:
        """A log with one more trip, and without the oldest if that exceeds `HISTORY_TRIPS`."""
        row = np.array([(day, hour, store, kind, len(tokens))], TRIP)
        trips = np.concatenate([self.trips, row])
        items = np.concatenate([self.tokens, np.asarray(tokens, np.int32)])
        forgotten = max(len(trips) - HISTORY_TRIPS, 0)
        return TripLog(trips[forgotten:], items[int(trips["items"][:forgotten].sum()) :])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays that `from_arrays` reads."""
        return {**{name: self.trips[name] for name in TRIP.names}, "tokens": self.tokens}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> TripLog:
        """Raises ValueError where the arrays do not fit each other."""
        trips = np.empty(len(arrays["day"]), TRIP)
        for name in TRIP.names:
            trips[name] = arrays[name]
        if int(trips["items"].sum()) != len(arrays["tokens"]) or (trips["items"] < 0).any():
            raise ValueError(
                f"expected {trips['items'].sum()} items, found {len(arrays['tokens'])}"
            )
        return cls(trips, np.asarray(arrays["tokens"], np.int32))
