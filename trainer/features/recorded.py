"""The recorded customers of a cache, all at once.

`CustomerFeatures` grow trip by trip, which takes half a millisecond a trip. What a cache holds of a
customer's whole past is added up here without a loop over trips; tests check that it is what
observing its trips one by one gives, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from trainer.cache.ragged import offsets, ranges
from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.features.as_of import NUMBERS, TOP, CustomerAggregates
from trainer.features.calendar import EPOCH, training_days
from trainer.features.chain import Chain
from trainer.features.customers import CustomerFeatures
from trainer.features.purchases import HISTORY_TRIPS
from trainer.features.trip_log import TRIP, TripLog


def recorded_trips(
    cache: TensorCache, customers: Sequence[int], last_week: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the trips of customers (n,), rows of `customers`, up to a week: rows (T,), customer
    after customer and each in order of time, and how many each has, (n,)."""
    first = cache["customers.trip_offsets"].astype(np.int64)
    customers = np.asarray(customers, dtype=np.int64)
    lengths = first[customers + 1] - first[customers]
    rows = ranges(first[customers], lengths)
    owner = np.repeat(np.arange(len(customers)), lengths)
    kept = cache["trips.week"][rows] <= last_week
    return rows[kept], np.bincount(owner[kept], minlength=len(customers))


def recorded_customers(
    chain: Chain, cache: TensorCache, customers: Sequence[int], last_week: int
) -> list[CustomerFeatures]:
    """Features of customers (n,), rows of `customers`, when the weeks up to one are over.

    chain: that of the cache. Equal to `CustomerFeatures` that observed the trips of these weeks.
    """
    rows, lengths = recorded_trips(cache, customers, last_week)
    past = _Past(chain, cache, rows, lengths)
    aggregates, logs = past.aggregates(), past.logs()
    segments = zip(
        *(cache[f"customers.{name}"][customers] for name in ("price_sensitivity", "lifestage")),
        strict=True,
    )
    known = []
    for number, codes in enumerate(segments):
        customer = CustomerFeatures(chain, codes)
        customer.aggregates, customer.log = aggregates[number], logs[number]
        customer.trips, customer.last = int(lengths[number]), past.last(number)
        known.append(customer)
    return known


class _Past:
    """The trips of n customers as columns, T in all, customer after customer."""

    def __init__(
        self, chain: Chain, cache: TensorCache, rows: np.ndarray, lengths: np.ndarray
    ) -> None:
        self._chain, self._lengths = chain, lengths
        self._stop = offsets(lengths)[1:]
        self._owner = np.repeat(np.arange(len(lengths)), lengths)
        self._day = cache["trips.day"][rows].astype(np.int64)
        self._first_day = training_days(cache).start
        self._date = cache["days.date"][self._day].astype(np.int64)
        self._week = cache["trips.week"][rows].astype(np.int64)
        self._hour = cache["trips.hour"][rows]
        self._store = cache["trips.store"][rows].astype(np.int64)
        self._kind = np.stack([cache[f"trips.{name}"][rows] for name in CONTEXT], axis=1)
        self._spend = cache["trips.spend_pence"][rows].astype(np.int64)
        start = cache["trips.item_offsets"][rows].astype(np.int64)
        self._items = cache["trips.item_offsets"][rows + 1].astype(np.int64) - start
        items = ranges(start, self._items)
        self._token = cache["items.token"][items].astype(np.int64)
        self._quantity = cache["items.quantity"][items].astype(np.int64)
        _, self._region, self._identity = chain.stores.identity(self._store).T

    def last(self, number: int):
        """Date and hour of a customer's last trip; None without any."""
        if not self._lengths[number]:
            return None
        place = self._stop[number] - 1
        return EPOCH + timedelta(int(self._date[place])), int(self._hour[place])

    def logs(self) -> list[TripLog]:
        """Of each customer."""
        trips = np.empty(len(self._day), TRIP)
        trips["day"], trips["hour"] = self._day - self._first_day, self._hour
        trips["store"], trips["kind"] = self._identity, self._kind
        trips["items"] = self._items
        tokens, item = self._token.astype(np.int32), offsets(self._items)
        first = self._stop - np.minimum(self._lengths, HISTORY_TRIPS)
        return [
            TripLog(trips[start:stop].copy(), tokens[item[start] : item[stop]].copy())
            for start, stop in zip(first.tolist(), self._stop.tolist(), strict=True)
        ]

    def aggregates(self) -> list[CustomerAggregates]:
        """Of each customer."""
        counts, settings = self._chain.label_counts, self._chain.settings.as_of
        n = len(self._lengths)
        latest = np.zeros(n, np.int64)
        latest[self._lengths > 0] = self._week[self._stop[self._lengths > 0] - 1]
        everything = np.ones(len(self._week), dtype=bool)
        totals = [self._totals(self._week < latest[self._owner]), self._totals(everything)]
        owner, product = _pairs(np.repeat(self._owner, self._items), self._token)
        product_of = np.split(product, offsets(np.bincount(owner, minlength=n))[1:-1])
        stores = self._stores(everything)
        by_visit = stores[np.lexsort((stores[:, 5], stores[:, 0]))]
        store_of = np.split(
            by_visit[:, 1:], offsets(np.bincount(by_visit[:, 0], minlength=n))[1:-1]
        )
        return [
            CustomerAggregates.from_arrays(
                {
                    "totals": np.stack([part[number] for part in totals]),
                    "week": latest[number],
                    "products": product_of[number],
                    "stores": self._described(store_of[number]),
                },
                counts,
                settings,
            )
            for number in range(n)
        ]

    def _described(self, stores: np.ndarray) -> np.ndarray:
        """A customer's stores as `CustomerAggregates.to_arrays` has them, (S, 5): store, place in
        the order of codes, region, trips, last week."""
        store, trips, last_week, region = stores[:, :4].T
        return np.stack([store, self._chain.store_order[store], region, trips, last_week], axis=1)

    def _stores(self, chosen: np.ndarray) -> np.ndarray:
        """(C, 6) of chosen trips (T,), by customer and store: customer, store, trips, last week,
        region, first visit."""
        trip = np.flatnonzero(chosen)
        order = trip[np.lexsort((trip, self._store[trip], self._owner[trip]))]
        owner, store = self._owner[order], self._store[order]
        begins = _changes(owner, store)
        first, trips = (
            np.flatnonzero(begins),
            np.diff(np.append(np.flatnonzero(begins), len(order))),
        )
        last = first + trips - 1
        return np.stack(
            [
                owner[first], store[first], trips, self._week[order[last]],
                self._region[order[first]], order[first],
            ],
            axis=1,
        )  # fmt: skip

    def _totals(self, chosen: np.ndarray) -> np.ndarray:
        """What chosen trips (T,) add up to, (n, numbers), as `CustomerAggregates` keeps it."""
        n, owner = len(self._lengths), self._owner[chosen]
        of_item = chosen.repeat(self._items)
        items = self._items[chosen]
        item_owner = np.repeat(owner, items)
        trips = np.bincount(owner, minlength=n)
        date, seen = self._date[chosen], trips > 0
        stop = trips.cumsum()
        first_day, last_day = np.zeros((2, n), np.int64)
        first_day[seen], last_day[seen] = date[(stop - trips)[seen]], date[stop[seen] - 1]
        gap = np.diff(date, prepend=0)
        gap[_changes(owner)] = 0
        week_owner, _ = _pairs(owner, self._week[chosen])
        product_owner, _ = _pairs(item_owner, self._token[of_item])
        stores = self._stores(chosen)
        store_owner, store, store_trips, _, region, _ = stores.T
        region_owner, _ = _pairs(store_owner, region)
        best = np.lexsort((self._chain.store_order[store], -store_trips, store_owner))
        place = (
            np.arange(len(best)) - offsets(np.bincount(store_owner, minlength=n))[store_owner[best]]
        )
        top = np.zeros((n, TOP), np.int64)
        within = place < TOP
        top[store_owner[best][within], place[within]] = store_trips[best][within]
        primary = np.full(n, -1)
        primary[store_owner[best][place == 0]] = store[best][place == 0]
        numbers = {
            "trips": trips,
            "weeks_with_trips": np.bincount(week_owner, minlength=n),
            "weeks_switched": self._weeks_switched(chosen),
            "first_day": first_day,
            "last_day": last_day,
            "gap_days_squared": _sums(owner, gap**2, n),
            "items": _sums(owner, items, n),
            "units": _sums(item_owner, self._quantity[of_item], n),
            "products": np.bincount(product_owner, minlength=n),
            "spend_pence": _sums(owner, self._spend[chosen], n),
            "stores": np.bincount(store_owner, minlength=n),
            "regions": np.bincount(region_owner, minlength=n),
            "store_trips_squared": _sums(store_owner, store_trips**2, n),
            "primary_store": primary,
        }
        kinds = [
            _table(owner, self._kind[chosen, column], n, codes)
            for column, codes in enumerate(self._chain.label_counts.codes.values())
        ]
        departments = self._chain.label_counts.department + 1
        label = self._chain.departments[self._token[of_item]]
        return np.concatenate(
            [
                np.stack([numbers[name] for name in NUMBERS], axis=1), top, *kinds,
                _table(item_owner, label, n, departments)[:, 1:],
            ],
            axis=1,
        )  # fmt: skip

    def _weeks_switched(self, chosen: np.ndarray) -> np.ndarray:
        """(n,) weeks with a visit to a store that was not visited in the weeks before."""
        weeks = int(self._week.max(initial=0)) + 1
        store_week = self._store[chosen] * weeks + self._week[chosen]
        owner, store_week = _pairs(self._owner[chosen], store_week)
        store, week = np.divmod(store_week, weeks)
        is_new = np.diff(week, prepend=0) > self._chain.settings.as_of.switching_weeks
        is_new |= _changes(owner, store)
        owner, _ = _pairs(owner[is_new], week[is_new])
        return np.bincount(owner, minlength=len(self._lengths))


def _pairs(owner: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct pairs of an owner and a value from 0, ascending."""
    base = int(value.max(initial=0)) + 1
    return np.divmod(np.unique(owner * base + value), base)


def _changes(*columns: np.ndarray) -> np.ndarray:
    """(n,) bool: rows that differ from the one before in any column; the first one does."""
    differs = np.zeros(len(columns[0]), dtype=bool)
    differs[:1] = True
    for column in columns:
        differs[1:] |= column[1:] != column[:-1]
    return differs


def _sums(owner: np.ndarray, values: np.ndarray, owners: int) -> np.ndarray:
    """(owners,) int64 sums of whole numbers, exact also where floats are not."""
    total = np.zeros(owners, np.int64)
    np.add.at(total, owner, values)
    return total


def _table(owner: np.ndarray, code: np.ndarray, owners: int, codes: int) -> np.ndarray:
    """(owners, codes) how often each code occurs."""
    cells = owner * codes + code
    return np.bincount(cells, minlength=owners * codes).reshape(owners, codes)
