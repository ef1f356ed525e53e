"""Trips of a cache as finished trips, for states that start from a recorded past."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.features.calendar import EPOCH
from trainer.features.plans import FinishedTrip, TripPlan
from trainer.features.trips import PRICES


def finished_trips(cache: TensorCache, rows: np.ndarray) -> Iterator[FinishedTrip]:
    """Trips (T,) of a cache in this order, with the prices that the cache has for their items.

    Products outside the vocabulary that share a fallback token count as one product.
    """
    dates = cache["days.date"][cache["trips.day"][rows]].tolist()
    hours, stores = (cache[f"trips.{name}"][rows].tolist() for name in ("hour", "store"))
    kinds = np.stack([cache[f"trips.{name}"][rows] for name in CONTEXT], axis=1).tolist()
    spend = cache["trips.spend_pence"][rows].tolist()
    starts, ends = (cache["trips.item_offsets"][edge].astype(np.int64) for edge in (rows, rows + 1))
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        price = cache["items.price"][start:end]
        yield FinishedTrip(
            TripPlan(
                EPOCH + timedelta(dates[number]), hours[number], stores[number],
                tuple(kinds[number]),
            ),
            tokens=cache["items.token"][start:end].astype(np.int64),
            quantities=cache["items.quantity"][start:end].astype(np.int64),
            spend_pence=spend[number],
            pence=np.stack([cache[f"shelf_prices.{name}"][price] for name in PRICES], axis=1),
        )  # fmt: skip
