"""Customers' timelines, read from the cache: one dataset element per customer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.utils.data import Dataset

from trainer.data.batch import Items, Trips
from trainer.data.cache import CacheError, TensorCache
from trainer.data.heldout import held_out
from trainer.data.ragged import ranges
from trainer.data.sales import Sales, item_shares
from trainer.data.schema import LABELS_OF_CONTEXT
from trainer.tensors import (
    AFFINITY_COLUMNS,
    HISTORY_COLUMNS,
    OPERATION_COLUMNS,
    Number,
    read_numbers,
    training_days,
)

OF_DAY = (
    "weekday", "week_of_year", "day_of_year", "holiday", "until_holiday", "since_holiday",
)  # fmt: skip
PRICES = ("pence", "previous_pence", "base_pence")


@dataclass(frozen=True)
class Spans:
    """Parts of timelines: for each of n customers, rows of the cache's trips."""

    first: np.ndarray
    """(n,) the timeline's first trip."""
    stop: np.ndarray
    """(n,) one past its last trip that belongs here."""
    asked: np.ndarray
    """(n,) its first trip in the split; the trips before it are history only."""

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, chosen: np.ndarray) -> Spans:
        return Spans(self.first[chosen], self.stop[chosen], self.asked[chosen])


class WorldModelDataset(Dataset):
    """Timelines of the customers who shop in a split's weeks.

    An element is one customer's trips up to the end of the split, as `(Trips, Items, asked)`:
    all tensors of `trainer.data.batch`, and how many of the trips, at the end, lie in the split.
    Earlier trips are history.
    """

    def __init__(
        self,
        cache: TensorCache,
        split: str = "train",
        *,
        customers: np.ndarray | None = None,
        first_week: int | None = None,
    ) -> None:
        """split: a name of the cache's split, `train`, `validation` or `test`; customers: rows of
        the cache's customers, in any order, of whom those who shop in the split are kept. If left
        out, all of them, and for the training split all who are not kept out (`held_out`).
        first_week: from which week on trips are asked about, if later than the split's first.

        Raises ValueError for another name or a row out of range, CacheError where no customer shops
        in these weeks.
        """
        if split not in cache.split:
            raise ValueError(f"split: expected one of {', '.join(cache.split)}, not {split!r}")
        self.cache, self.split = cache, split
        first_of_split, last_week = cache.split[split]
        first_week = max(first_of_split, first_week or 0)
        first, last = (cache["customers.trip_offsets"][s].astype(np.int64) for s in _PAIRS)
        # Trips of a timeline are in order, so those up to a week are a run from its beginning.
        before, until = (
            np.concatenate([[0], (cache["trips.week"] <= week).cumsum(dtype=np.int64)])
            for week in (first_week - 1, last_week)
        )
        asked = first + before[last] - before[first]
        stop = first + until[last] - until[first]
        kept = np.flatnonzero(stop > asked)
        if customers is None and split == "train":
            customers = np.flatnonzero(~held_out(cache))
        if customers is not None:
            _check_rows(customers, len(stop))
            kept = kept[np.isin(kept, customers)]
        if not len(kept):
            raise CacheError(
                f"{cache.folder}: no customer shops in weeks {first_week}-{last_week} ({split})"
            )
        self.customers = kept
        """(n,) customers rows, in the order of the elements."""
        self.spans = Spans(first[kept], stop[kept], asked[kept])
        item_offsets = cache["trips.item_offsets"]
        self.trips = self.spans.stop - self.spans.first
        """(n,) trips of each timeline, history included."""
        self.items = item_offsets[self.spans.stop].astype(np.int64) - item_offsets[self.spans.first]
        """(n,) items of each timeline, history included."""

    @cached_property
    def sales(self) -> Sales:
        """What the chain sold lately, as of each week."""
        return Sales(self.cache, item_shares(self.cache))

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, index: int) -> tuple[Trips, Items, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"timeline {index} of {len(self)}")
        span = self.spans[np.array([index])]
        trips, items = read(self.cache, ranges(span.first, span.stop - span.first))
        return trips, items, int((span.stop - span.asked).item())


_PAIRS = (slice(None, -1), slice(1, None))


def _check_rows(customers: np.ndarray, count: int) -> None:
    if customers.size and not (customers.min() >= 0 and customers.max() < count):
        raise ValueError(f"customers: expected rows 0..{count - 1}, found others")


def read(cache: TensorCache, rows: np.ndarray) -> tuple[Trips, Items]:
    """Everything the model may know about trips: rows (T,) of the cache's trips."""
    return read_trips(cache, rows), read_items(cache, rows)


def read_trips(cache: TensorCache, rows: np.ndarray) -> Trips:
    """Raw features of trips: rows (T,) of the cache's trips."""
    frame = cache["trips.customer_week"][rows]
    customer = cache["customer_weeks.customer"][frame]
    store = cache["trips.store"][rows]
    day = cache["trips.day"][rows]
    identity = np.where(cache["stores.is_novel"][store], 0, store.astype(np.int64) + 1)
    primary = cache["customer_weeks.primary_store"][frame]
    calendar = {name: cache[f"days.{name}"][day] for name in OF_DAY} | {
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
        context=_codes(*(cache[f"trips.{name}"][rows] for name in LABELS_OF_CONTEXT)),
        basket_id=torch.from_numpy(cache["trips.basket_id"][rows]),
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
