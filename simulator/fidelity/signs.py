"""What a detector is shown of a trip, or of a customer's weeks: numbers, each with words.

All is measured against the history alone, so that real and simulated trips are treated alike.

Shape letters: T trips, I items, P customers who come, D departments.
"""

from __future__ import annotations

import numpy as np

from simulator.fidelity.own import OwnPurchases
from simulator.fidelity.quantities import different, gaps, previous
from simulator.fidelity.trip_sets import TripSet
from simulator.fidelity.window import Window
from trainer.cache.schema import CONTEXT, LEVELS
from trainer.features.categories import category_of_token

DEPARTMENTS = 12
"""Categories of the top level, most sold first, whose share of a basket is a sign."""
RECENT_WEEKS = 26
WEEKEND = (1, 7)
"""Sunday and Saturday."""


class Signs:
    """Signs of a window's trips and customers."""

    def __init__(self, window: Window, own: OwnPurchases) -> None:
        self._window, self._own = window, own
        cache, history = window.cache, window.history
        sold = np.bincount(history.token, minlength=cache.vocabulary.input_size)
        self._popularity = np.log((sold + 1) / len(history))
        pence = cache["products.pence"].astype(np.float64)
        self._price = np.full(len(sold), np.nan)
        self._price[1 : 1 + len(pence)] = pence
        by_weight = cache["products.is_random_weight"]
        self._by_weight = np.zeros(len(sold), bool)
        self._by_weight[1 : 1 + len(by_weight)] = by_weight
        top = window.ancestors(len(LEVELS) - 1)[category_of_token(cache)]
        largest = np.argsort(-np.bincount(top[history.token]), kind="stable")[:DEPARTMENTS]
        self._department = np.full(len(sold), -1)
        self._names = []
        for number, row in enumerate(largest[largest < cache.rows("categories")]):
            self._department[top == row] = number
            self._names.append(cache["categories.code"][row].decode())
        self._lifts = self._category_lifts(history)
        recent = window.recent(RECENT_WEEKS)
        known = history.take(np.isin(window.day_week[history.day], recent))
        self._rate = np.bincount(known.customer, minlength=window.customers) / len(recent)
        self._spent = np.bincount(known.customer, known.spend, window.customers) / len(recent)
        self._stores = cache.rows("stores") + 1
        self._store_key, times = np.unique(
            history.customer * self._stores + history.store, return_counts=True
        )
        trips = np.bincount(history.customer, minlength=window.customers)
        self._store_share = times / trips[self._store_key // self._stores]

    def of_trips(self, trips: TripSet) -> dict[str, np.ndarray]:
        """(T,) each, by what it is in words."""
        window, count = self._window, len(trips)
        times, last = self._own.of(trips)
        repeat = times > 0

        def mean(values: np.ndarray, of: np.ndarray | None = None) -> np.ndarray:
            """Of a trip's items, or of some of them; NaN without any."""
            weight = np.ones(len(trips.token)) if of is None else of.astype(float)
            with np.errstate(invalid="ignore"):
                return np.bincount(trips.trip, np.where(weight > 0, values, 0), count) / (
                    np.bincount(trips.trip, weight, count)
                )

        age = window.date[trips.day][trips.trip] - last
        recent = _least(np.where(repeat, age, np.inf), trips)
        recent[np.isinf(recent)] = np.nan
        usual = np.bincount(
            trips.trip, np.nan_to_num(self._price[trips.token]) * trips.quantity, count
        )
        return {
            "day of the week": window.weekday[trips.day],
            "week": window.horizon(trips),
            "hour": trips.hour,
            "days since the trip before": gaps(window, trips),
            "share of the customer's trips in this store": self._own_store(trips),
            "another store than on the trip before": trips.store
            != previous(window, trips, window.history.store, trips.store),
            "format of the store": np.append(window.cache["stores.format"], 0)[trips.store],
            **{f"kind of trip: {name}": trips.kind[:, i] for i, name in enumerate(CONTEXT)},
            "items": trips.items,
            "units": trips.units,
            "units per item": trips.units / trips.items,
            "spend": trips.spend,
            "spend per unit": trips.spend / trips.units,
            "spend over usual prices": trips.spend / np.maximum(usual, 1),
            "share of items bought before": mean(repeat),
            "items never bought before": np.bincount(trips.trip, ~repeat, count),
            "how often its items were bought before": mean(np.log1p(times)),
            "days since its items were bought last": mean(age, repeat),
            "days since its most recent item was bought": recent,
            "popularity of its items": mean(self._popularity[trips.token]),
            "popularity of its rarest item": _least(self._popularity[trips.token], trips),
            "usual price of its items": mean(np.nan_to_num(self._price[trips.token])),
            "share of items sold by weight": mean(self._by_weight[trips.token]),
            "categories": different(trips.trip, window.category[trips.token], count),
            "how well its categories go together": self._fit(trips),
            **{
                f"share of items in {name}": mean(self._department[trips.token] == number)
                for number, name in enumerate(self._names)
            },
        }

    def of_customers(self, trips: TripSet) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Customers who come, rows (P,), and (P,) each by what it is in words."""
        window = self._window
        customer, place = np.unique(trips.customer, return_inverse=True)
        count, buyer = len(customer), place[trips.trip]
        single = self.of_trips(trips)
        visits = np.bincount(place, minlength=count)
        weeks = len(window.weeks)
        by_week = np.bincount(place * weeks + window.horizon(trips), minlength=count * weeks)
        by_week = by_week.reshape(-1, weeks)

        def mean(values: np.ndarray) -> np.ndarray:
            return np.bincount(place, values, count) / visits

        def spread(values: np.ndarray) -> np.ndarray:
            return np.sqrt(np.maximum(mean(np.square(values, dtype=float)) - mean(values) ** 2, 0))

        items = np.bincount(buyer, minlength=count)
        products = different(buyer, trips.token, count)
        times, _ = self._own.of(trips)
        days = different(place, trips.day, count)
        averaged = (
            "hour", "days since the trip before", "share of the customer's trips in this store",
            "another store than on the trip before", "items", "units per item", "spend",
            "spend per unit", "spend over usual prices", "share of items bought before",
            "how often its items were bought before", "popularity of its items",
            "popularity of its rarest item", "categories", "how well its categories go together",
            *(f"share of items in {name}" for name in self._names),
        )  # fmt: skip
        return customer, {
            "trips": visits,
            "trips over the rate before": visits / weeks - self._rate[customer],
            "spend over that before": np.bincount(place, trips.spend, count) / weeks
            - self._spent[customer],
            "weeks with trips": (by_week > 0).sum(1),
            "most trips in a week": by_week.max(1),
            "trips on a day with another": visits - days,
            **{f"trips in week {week + 1}": by_week[:, week] for week in range(weeks)},
            "items in all": items,
            "different products": products,
            "how often a product is bought again": items / products,
            "different categories": different(buyer, window.category[trips.token], count),
            "different stores": different(place, trips.store, count),
            "products never bought before": np.bincount(buyer, times == 0, count),
            "share of trips at weekends": mean(np.isin(window.weekday[trips.day], WEEKEND)),
            "how much days between trips differ": spread(single["days since the trip before"]),
            "how much hours differ": spread(trips.hour),
            "how much items of a trip differ": spread(trips.items),
            "how much spend of a trip differs": spread(trips.spend),
            **{f"of a trip: {name}": mean(single[name]) for name in averaged},
        }  # fmt: skip

    def _own_store(self, trips: TripSet) -> np.ndarray:
        key = trips.customer * self._stores + trips.store
        place = np.minimum(np.searchsorted(self._store_key, key), len(self._store_key) - 1)
        return np.where(self._store_key[place] == key, self._store_share[place], 0)

    def _baskets(self, trips: TripSet, rows: int = 20_000):
        """(n, G) float32 which categories trips hold, some rows at a time."""
        size = len(self._window.categories) + 1
        category = self._window.category[trips.token]
        for first in range(0, len(trips), rows):
            stop = min(first + rows, len(trips))
            part = slice(trips.item_offsets[first], trips.item_offsets[stop])
            matrix = np.zeros((stop - first, size), np.float32)
            matrix[trips.trip[part] - first, category[part]] = 1
            yield matrix

    def _category_lifts(self, trips: TripSet) -> np.ndarray:
        """(G, G) log lifts of pairs of categories in one basket."""
        size = len(self._window.categories) + 1
        both = np.zeros((size, size))
        for basket in self._baskets(trips):
            both += basket.T @ basket
        each = both.diagonal().copy()
        lifts = np.log((both + 1) / (np.outer(each, each) / len(trips) + 1))
        np.fill_diagonal(lifts, 0)
        return lifts.astype(np.float32)

    def _fit(self, trips: TripSet) -> np.ndarray:
        """(T,) mean log lift of the pairs of categories in a basket; NaN without a pair."""
        found = []
        for basket in self._baskets(trips):
            count = basket.sum(1)
            with np.errstate(invalid="ignore", divide="ignore"):
                found.append(((basket @ self._lifts) * basket).sum(1) / (count * (count - 1)))
        return np.concatenate(found) if found else np.zeros(0)


def _least(values: np.ndarray, trips: TripSet) -> np.ndarray:
    """(T,) the least of the values (I,) of a trip's items."""
    return np.minimum.reduceat(values, trips.item_offsets[:-1]) if len(trips) else values
