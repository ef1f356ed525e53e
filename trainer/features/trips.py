"""Raw features of trips and their items, read from the cache.

Shape letters: T trips, I items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.cache.ragged import ranges
from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.features.calendar import DAY_COLUMNS, training_days
from trainer.features.columns import (
    AFFINITY_COLUMNS,
    HISTORY_COLUMNS,
    OPERATION_COLUMNS,
    Number,
    read_numbers,
)
from trainer.features.tensors import TensorRecord

PRICES = ("pence", "previous_pence", "base_pence")


@dataclass(frozen=True)
class Trips(TensorRecord):
    """Who shops, when and where, and the kind of trip: raw values, not normalised."""

    segments: Tensor
    """(T, 2) int64 labels: price sensitivity, lifestage."""
    history: Tensor
    """(T, history) float32, the columns of `HISTORY_COLUMNS` as of the trip's week."""
    affinity: Tensor
    """(T, affinity) float32, the columns of `AFFINITY_COLUMNS` as of the trip's week."""
    at_primary: Tensor
    """(T,) bool: at the store the customer visited most in earlier weeks."""
    history_weight: Tensor
    """(T,) float32: b, the cold-start weight of `CustomerEmbedding`."""
    has_history: Tensor
    """(T,) bool: there are trips in earlier weeks."""
    calendar: dict[str, Tensor]
    """(T,) int64 each, the arguments of `TimeEmbedding.forward` by name."""
    store: Tensor
    """(T, 3) int64: format and region labels, identity (store row + 1, 0 for a novel store)."""
    operations: Tensor
    """(T, 5) float32: the store's figures, `OPERATION_COLUMNS`."""
    context: Tensor
    """(T, 4) int64 true codes: size, sensitivity, type, focus; 0 unknown."""
    row: Tensor
    """(T,) int64 rows of the cache's trips."""

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Items(TensorRecord):
    """The items of the trips, true and complete; order within a trip has no meaning."""

    trip: Tensor
    """(I,) int64 index into the batch's trips, ascending."""
    token: Tensor
    """(I,) int64 products 1..N, or fallback tokens from N + 3."""
    pence: Tensor
    """(I, 3) float32 pence: price, previous price at the store, base price."""


def read(cache: TensorCache, rows: np.ndarray) -> tuple[Trips, Items]:
    """Features and items of trips: rows (T,) of the cache's trips."""
    return read_trips(cache, rows), read_items(cache, rows)


def read_trips(cache: TensorCache, rows: np.ndarray) -> Trips:
    """Raw features of trips: rows (T,) of the cache's trips."""
    frame = cache["trips.customer_week"][rows]
    customer = cache["customer_weeks.customer"][frame]
    store = cache["trips.store"][rows]
    day = cache["trips.day"][rows]
    identity = np.where(cache["stores.is_novel"][store], 0, store.astype(np.int64) + 1)
    primary = cache["customer_weeks.primary_store"][frame]
    calendar = {name: cache[f"days.{name}"][day] for name in DAY_COLUMNS} | {
        "hour": cache["trips.hour"][rows],
        "day": day.astype(np.int64) - training_days(cache).start,
        "days_since_previous": cache["trips.days_since_previous"][rows],
    }
    return Trips(
        segments=_codes(
            cache["customers.price_sensitivity"][customer], cache["customers.lifestage"][customer]
        ),
        history=_numbers(cache, HISTORY_COLUMNS, frame),
        affinity=_numbers(cache, AFFINITY_COLUMNS, frame),
        at_primary=torch.from_numpy(primary == store.astype(np.int64) + 1),
        history_weight=torch.from_numpy(cache["customer_weeks.history_weight"][frame]),
        has_history=torch.from_numpy(cache["customer_weeks.trips"][frame] > 0),
        calendar={name: torch.from_numpy(v.astype(np.int64)) for name, v in calendar.items()},
        store=_codes(cache["stores.format"][store], cache["stores.region"][store], identity),
        operations=_numbers(cache, OPERATION_COLUMNS, store),
        context=_codes(*(cache[f"trips.{name}"][rows] for name in CONTEXT)),
        row=torch.from_numpy(np.asarray(rows, dtype=np.int64)),
    )


def read_items(cache: TensorCache, rows: np.ndarray) -> Items:
    """The items of trips: rows (T,) of the cache's trips."""
    starts = cache["trips.item_offsets"][rows].astype(np.int64)
    lengths = cache["trips.item_offsets"][rows + 1] - starts
    items = ranges(starts, lengths)
    price = cache["items.price"][items]
    prices = [cache[f"shelf_prices.{name}"][price] for name in PRICES]
    return Items(
        trip=torch.from_numpy(np.repeat(np.arange(len(rows)), lengths)),
        token=torch.from_numpy(cache["items.token"][items].astype(np.int64)),
        pence=torch.from_numpy(np.stack(prices, axis=1)),
    )


def _codes(*columns: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack([c.astype(np.int64) for c in columns], axis=1))


def _numbers(cache: TensorCache, columns: tuple[Number, ...], rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(read_numbers(cache, columns, rows))
