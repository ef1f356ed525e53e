"""Customers' timelines, read from the cache: one dataset element per customer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from torch.utils.data import Dataset

from trainer.cache.held_out import held_out
from trainer.cache.ragged import ranges
from trainer.cache.reader import CacheError, TensorCache
from trainer.cache.split import MOVE_SPLIT, split_weeks
from trainer.features.categories import category_of_token
from trainer.features.chain_sales import SalesByWeek, item_shares
from trainer.features.trips import Items, Trips, read
from trainer.features.visits import RecordedDays


@dataclass(frozen=True)
class Spans:
    """Parts of timelines: for each of n customers, rows of the cache's trips."""

    first: np.ndarray
    """(n,) the timeline's first trip."""
    stop: np.ndarray
    """(n,) one past its last trip that belongs here."""
    first_target: np.ndarray
    """(n,) its first trip in the split; the trips before it are history only."""

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, chosen: np.ndarray) -> Spans:
        return Spans(self.first[chosen], self.stop[chosen], self.first_target[chosen])


class WorldModelDataset(Dataset):
    """Timelines of the customers who shop in a split's weeks.

    An element is one customer's trips up to the end of the split, as `(Trips, Items, targets)`. The
    last `targets` of the trips lie in the split; earlier ones are history.
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
        out, all of them; for the training split without those held out of it (`held_out`).
        first_week: the first week with target trips, if later than the split's first.

        Raises ValueError for another name or a row out of range, CacheError where no customer shops
        in these weeks.
        """
        first_of_split, last_week = split_weeks(cache, split)
        first_week = max(first_of_split, first_week or 0)
        if customers is None and split == "train":
            customers = np.flatnonzero(~held_out(cache))
        kept, spans = _spans(cache, first_week, last_week, customers)
        if not len(kept):
            raise CacheError(
                f"{cache.folder}: no known customer shops in weeks {first_week}-{last_week} "
                f"({split}): {MOVE_SPLIT}"
            )
        self._hold(cache, split, last_week, kept, spans)

    @classmethod
    def of_weeks(
        cls,
        cache: TensorCache,
        first_week: int,
        last_week: int,
        customers: np.ndarray | None = None,
    ) -> WorldModelDataset:
        """Timelines up to a week whose targets lie in it and weeks before it, of any split.

        customers: as above, all of them if left out. Raises CacheError where nobody shops in these
        weeks.
        """
        kept, spans = _spans(cache, first_week, last_week, customers)
        if not len(kept):
            raise CacheError(
                f"{cache.folder}: no known customer shops in weeks {first_week}-{last_week}"
            )
        split = next(name for name, (_, last) in cache.split.items() if last_week <= last)
        dataset = cls.__new__(cls)
        dataset._hold(cache, split, last_week, kept, spans)
        return dataset

    @classmethod
    def from_spans(
        cls, cache: TensorCache, split: str, customers: np.ndarray, spans: Spans
    ) -> WorldModelDataset:
        """Chosen parts of chosen timelines.

        split: name of the cache's split that they belong to; customers (n,) rows of the
        cache's customers; spans: of each of them, with at least one target trip. Raises ValueError
        where they differ in length or a span has no target trip.
        """
        if len(customers) != len(spans):
            raise ValueError(
                f"spans: expected {len(customers)}, one per customer, not {len(spans)}"
            )
        if not ((spans.first <= spans.first_target) & (spans.first_target < spans.stop)).all():
            raise ValueError("spans: each needs a target trip, first <= first_target < stop")
        dataset = cls.__new__(cls)
        dataset._hold(cache, split, cache.split[split][1], customers, spans)
        return dataset

    def _hold(
        self, cache: TensorCache, split: str, last_week: int, customers: np.ndarray, spans: Spans
    ) -> None:
        self.cache, self.split, self._last_week = cache, split, last_week
        self.customers = customers
        """(n,) customers rows, in the order of the elements."""
        self.spans = spans
        item_offsets = cache["trips.item_offsets"]
        self.trips = spans.stop - spans.first
        """(n,) trips of each timeline, history included."""
        self.items = item_offsets[spans.stop].astype(np.int64) - item_offsets[spans.first]
        """(n,) items of each timeline, history included."""

    @property
    def sales(self) -> SalesByWeek:
        """Recent sales of the chain, as of each week; one for all datasets of a cache."""
        if self.cache not in _SALES:
            _SALES[self.cache] = SalesByWeek(self.cache, item_shares(self.cache))
        return _SALES[self.cache]

    @cached_property
    def days(self) -> RecordedDays:
        """The calendar, up to the end of the split, or of the weeks that were asked for."""
        return RecordedDays.of(self.cache, self._last_week)

    @cached_property
    def categories(self) -> np.ndarray:
        """(input tokens,) row of each token's finest category."""
        return category_of_token(self.cache)

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, index: int) -> tuple[Trips, Items, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"timeline {index} of {len(self)}")
        span = self.spans[np.array([index])]
        trips, items = read(self.cache, ranges(span.first, span.stop - span.first))
        return trips, items, int((span.stop - span.first_target).item())


_SALES: WeakKeyDictionary[TensorCache, SalesByWeek] = WeakKeyDictionary()
"""As large as weeks times products, so made once per cache."""
_PAIRS = (slice(None, -1), slice(1, None))


def _spans(
    cache: TensorCache, first_week: int, last_week: int, customers: np.ndarray | None
) -> tuple[np.ndarray, Spans]:
    """Customers, of those given, who shop in these weeks, and their timelines up to the last."""
    first, last = (cache["customers.trip_offsets"][s].astype(np.int64) for s in _PAIRS)
    # Trips of a timeline are in order, so those up to a week are a run from its beginning.
    before, until = (
        np.concatenate([[0], (cache["trips.week"] <= week).cumsum(dtype=np.int64)])
        for week in (first_week - 1, last_week)
    )
    first_target = first + before[last] - before[first]
    stop = first + until[last] - until[first]
    kept = np.flatnonzero(stop > first_target)
    if customers is not None:
        _check_rows(customers, len(stop))
        kept = kept[np.isin(kept, customers)]
    return kept, Spans(first[kept], stop[kept], first_target[kept])


def _check_rows(customers: np.ndarray, count: int) -> None:
    if customers.size and not (customers.min() >= 0 and customers.max() < count):
        raise ValueError(f"customers: expected rows 0..{count - 1}, found others")
