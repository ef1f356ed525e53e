"""What is known of one customer as of a week, kept up to date trip by trip.

The table `customer_weeks` of a cache holds the same figures for every week of data that are already
in a warehouse. `CustomerAggregates` needs no warehouse: it takes one finished trip after the other
and gives the row of any week to come, equal to that of the table to the bit. Formulas are those of
the marts customer_history, customer_missions and customer_store_affinity.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.cache.rows import top_categories
from trainer.cache.schema import COLUMNS, SMALLEST, LabelCounts

TABLE = "customer_weeks"
TOP = 3
"""The stores of `top_3_store_share`."""

_COLUMNS = [c for c in COLUMNS if c.table == TABLE and c.name != f"{TABLE}.customer"]
_NAMES = [column.name.partition(".")[2] for column in _COLUMNS]


@dataclass(frozen=True)
class AsOfSettings:
    """Settings of the warehouse (vars of dbt_project.yml) that give the figures their meaning."""

    full_history_trips: int = 20
    """Trips after which a customer's history counts in full: `history_weight` is 1."""
    switching_weeks: int = 4
    """A store is new to a customer when not visited in so many weeks before."""
    cold_start_trips: int = 5
    """A trip is cold start while its customer has fewer earlier trips than this."""


@dataclass(frozen=True)
class AggregatedTrip:
    """What one trip adds to the figures of its customer. I: items, products of the basket."""

    day: int
    """Days since 1970-01-01."""
    week: int
    """Week number of the day, from 1."""
    store: int
    """Row of `stores`; for a store that has none, any number from 0 that no other store has."""
    region: int
    """The store's region: its label, or any other number that no other region has."""
    kind: Sequence[int]
    """Codes of size, sensitivity, type and focus; 0 unknown."""
    spend_pence: int
    """Spend of the whole basket."""
    products: np.ndarray
    """(I,) int64 identities: the token of a known product, and for an unknown one any number that
    no other product has. A fallback token stands for many products: with it as identity, another
    product of the same category counts as bought before."""
    departments: np.ndarray
    """(I,) labels of the products' departments; 0 for those that training weeks lack."""
    quantities: np.ndarray
    """(I,) units bought; a weighed portion is 1."""
    store_order: int | None = None
    """Place of the store in the order of store codes, which decides between stores with equally
    many trips; the row of `stores` by default, whose rows are in that order unless the cache was
    exported with `--like` and has stores unknown to the reference."""


@dataclass
class _Totals:
    """Sums over trips, all whole numbers: of fixed size, whatever the customer did."""

    kinds: list[list[int]]
    """Trips by code, for size, sensitivity, type and focus."""
    departments: np.ndarray
    """(departments,) int64 items."""
    trips: int = 0
    weeks_with_trips: int = 0
    weeks_switched: int = 0
    """Weeks with a visit to a store that was new."""
    first_day: int = 0
    last_day: int = 0
    gap_days_squared: int = 0
    """Of the days between trips; their sum is last_day - first_day."""
    items: int = 0
    units: int = 0
    products: int = 0
    """Distinct ones: any other item is a repeat."""
    spend_pence: int = 0
    stores: int = 0
    regions: int = 0
    store_trips_squared: int = 0
    """Sum over stores of the squared number of trips."""
    primary_store: int = -1
    top: list[int] = field(default_factory=lambda: [0] * TOP)
    """Trips to the stores with the most, most first."""

    @classmethod
    def empty(cls, counts: LabelCounts) -> _Totals:
        kinds = [[0] * codes for codes in counts.codes.values()]
        return cls(kinds, np.zeros(counts.department, dtype=np.int64))

    def copy(self) -> _Totals:
        return replace(
            self,
            kinds=[list(trips) for trips in self.kinds],
            departments=self.departments.copy(),
            top=list(self.top),
        )

    def to_array(self) -> np.ndarray:
        """(numbers,) int64: the single numbers, then the lists, departments last."""
        numbers = [getattr(self, name) for name in NUMBERS]
        lists = [*self.top, *(trips for by_code in self.kinds for trips in by_code)]
        return np.concatenate([np.array(numbers + lists, dtype=np.int64), self.departments])

    @classmethod
    def from_array(cls, array: np.ndarray, counts: LabelCounts) -> _Totals:
        """The inverse of `to_array`."""
        places = np.cumsum([len(NUMBERS), TOP, *counts.codes.values()])
        numbers, top, *kinds, departments = np.split(array, places)
        return cls(
            [trips.tolist() for trips in kinds],
            departments.copy(),
            top=top.tolist(),
            **dict(zip(NUMBERS, numbers.tolist(), strict=True)),
        )


NUMBERS = tuple(f.name for f in fields(_Totals) if f.type == "int")
"""The single numbers among the totals, in the order of `CustomerAggregates.to_arrays`."""


@dataclass
class _Store:
    """A store that the customer visited."""

    order: int
    region: int
    trips: int
    last_week: int


class CustomerAggregates:
    """Everything remembered of one customer for the columns of `customer_weeks`.

    Its size does not grow with trips: two sets of a few dozen sums and one per department (one set
    leaves out the latest week), five numbers per store visited and one per distinct product bought.
    """

    def __init__(self, counts: LabelCounts, settings: AsOfSettings = AsOfSettings()) -> None:
        """A customer without trips. counts: labels of the vocabulary."""
        self.counts, self.settings = counts, settings
        self._now = _Totals.empty(counts)
        # Trips of a week do not count in it: these totals are without the latest trip's week.
        self._before = _Totals.empty(counts)
        self._week = 0
        self._products = np.zeros(0, dtype=np.int64)  # sorted
        self._stores: dict[int, _Store] = {}

    def observe(self, trip: AggregatedTrip) -> None:
        """Add a finished trip. Raises ValueError where it is earlier than one added before."""
        now, day, week = self._now, int(trip.day), int(trip.week)
        if week < self._week or (now.trips and day < now.last_day):
            raise ValueError(
                f"a trip on day {day} of week {week} cannot follow one on day {now.last_day} of "
                f"week {self._week}"
            )
        if week > self._week:
            self._before, self._week = now.copy(), week
            now.weeks_with_trips += 1
        if now.trips:
            now.gap_days_squared += (day - now.last_day) ** 2
        else:
            now.first_day = day
        now.last_day = day
        now.trips += 1
        now.spend_pence += int(trip.spend_pence)
        for trips, code in zip(now.kinds, trip.kind, strict=True):
            trips[code] += 1
        self._add_items(trip)
        self._add_visit(trip)

    def _add_items(self, trip: AggregatedTrip) -> None:
        now = self._now
        now.items += len(trip.products)
        now.units += int(trip.quantities.sum())
        now.departments += np.bincount(trip.departments, minlength=len(now.departments) + 1)[1:]
        products = np.unique(trip.products)
        place = self._products.searchsorted(products)
        is_new = place == self._products.searchsorted(products, side="right")
        if is_new.any():
            self._products = np.insert(self._products, place[is_new], products[is_new])
            now.products = len(self._products)

    def _add_visit(self, trip: AggregatedTrip) -> None:
        now, number = self._now, int(trip.store)
        order = number if trip.store_order is None else int(trip.store_order)
        store = self._stores.get(number)
        is_new = store is None or self._week - store.last_week > self.settings.switching_weeks
        if is_new and now.weeks_switched == self._before.weeks_switched:
            now.weeks_switched += 1
        if store is None:
            store = self._stores[number] = _Store(order, int(trip.region), 0, self._week)
            now.stores = len(self._stores)
            now.regions = len({visited.region for visited in self._stores.values()})
        # Only this store's trips change, and by one.
        if store.trips in now.top:
            now.top[now.top.index(store.trips)] += 1
        now.store_trips_squared += 2 * store.trips + 1
        store.trips += 1
        store.last_week = self._week
        primary = self._stores.get(now.primary_store, store)
        if (store.trips, -store.order) >= (primary.trips, -primary.order):
            now.primary_store = number

    def as_of(self, week: int, first_day: int) -> np.ndarray:
        """The row of `customer_weeks` as of a week: what trips of earlier weeks say.

        week: not before that of the latest trip. first_day: of the week, days since 1970-01-01.
        Returns an array of shape () and dtype `as_of_dtype(counts)`; np.stack makes a table of
        many, which `trainer.features.columns.read_numbers` reads like a cache. Nothing changes.
        Raises ValueError for an earlier week.
        """
        if week < self._week:
            raise ValueError(f"week {week} is over: there are trips in week {self._week}")
        totals = self._now if week > self._week else self._before
        row = np.zeros((), as_of_dtype(self.counts))
        if totals.trips:
            figures = _figures(totals, int(first_day), self.settings) | {"week": week}
            row[()] = tuple([figures[name] for name in _NAMES])
        else:
            row[f"{TABLE}.week"] = week
        return row

    @property
    def products(self) -> np.ndarray:
        """(P,) int64 identities of the products ever bought, ascending."""
        return self._products

    @property
    def is_cold_start(self) -> bool:
        """Whether the next trip will be a cold start, as `trips.is_cold_start` defines it."""
        return self._now.trips < self.settings.cold_start_trips

    @property
    def nbytes(self) -> int:
        """Size of `to_arrays` in bytes."""
        return sum(array.nbytes for array in self.to_arrays().values())

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The whole state, the settings apart, as int64 arrays: `totals` (2, numbers) without and
        with the latest week, `week` (), `products` (P,) and `stores` (S, 5)."""
        stores = [[number, *vars(store).values()] for number, store in self._stores.items()]
        return {
            "totals": np.stack([self._before.to_array(), self._now.to_array()]),
            "week": np.array(self._week, dtype=np.int64),
            "products": self._products.copy(),
            "stores": np.array(stores, dtype=np.int64).reshape(-1, 1 + len(fields(_Store))),
        }

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, np.ndarray],
        counts: LabelCounts,
        settings: AsOfSettings = AsOfSettings(),
    ) -> CustomerAggregates:
        """The inverse of `to_arrays`."""
        state = cls(counts, settings)
        state._before, state._now = (_Totals.from_array(t, counts) for t in arrays["totals"])
        state._week = int(arrays["week"])
        state._products = arrays["products"].copy()
        state._stores = {number: _Store(*rest) for number, *rest in arrays["stores"].tolist()}
        return state

    def copy(self) -> CustomerAggregates:
        """An independent copy."""
        return self.from_arrays(self.to_arrays(), self.counts, self.settings)


@functools.cache
def as_of_dtype(counts: LabelCounts) -> np.dtype:
    """Fields of a row as of a week: every column of `customer_weeks` but the customer.

    Names and floats are those of the cache; whole numbers are int64, where the cache takes the
    smallest dtype that holds them.
    """
    return np.dtype(
        [
            (
                column.name,
                np.int64 if column.dtype == SMALLEST else column.dtype,
                (counts.widths[column.width],) if column.width else (),
            )
            for column in _COLUMNS
        ]
    )


def _figures(
    totals: _Totals, first_day: int, settings: AsOfSettings
) -> dict[str, float | np.ndarray]:
    """Columns by name, for a customer with trips, with the marts' order of operations."""
    trips, items = totals.trips, totals.items
    size, sensitivity, *type_and_focus = totals.kinds
    types, focuses = ([*known, unknown] for unknown, *known in type_and_focus)
    gaps, gap_days = trips - 1, totals.last_day - totals.first_day
    type_entropy, focus_entropy = _entropy(types, trips), _entropy(focuses, trips)
    # Scales by position, in whole numbers: the k-th of n sizes counts k/n in hundredths, the k-th
    # of n price sensitivities (k - 1)/(n - 1).
    sizes, step = len(size) - 1, max(len(sensitivity) - 2, 1)
    hundredths = [(200 * k + sizes) // (2 * sizes) for k in range(1, sizes + 1)]
    of_size = _moments(size[1:], hundredths)
    of_sensitivity = _moments(sensitivity[1:], range(len(sensitivity) - 1))
    return {
        "trips": trips,
        "history_weight": min(1, trips / settings.full_history_trips),
        "weeks_with_trips": totals.weeks_with_trips,
        "recency_days": first_day - totals.last_day,
        "tenure_days": first_day - totals.first_day,
        "gap_days_mean": _ratio(gap_days, gaps),
        "gap_days_spread": _spread(gaps, gap_days, totals.gap_days_squared, 1),
        "spend_pence_per_trip": totals.spend_pence / trips,
        "items_per_trip": items / trips,
        "units_per_item": _ratio(totals.units, items),
        "repeat_rate": _ratio(items - totals.products, items),
        "department_shares": totals.departments / max(items, 1),
        "type_shares": [count / trips for count in types],
        "focus_shares": [count / trips for count in focuses],
        "type_entropy": type_entropy,
        "focus_entropy": focus_entropy,
        "price_sensitivity_mean": _ratio(of_sensitivity[1], of_sensitivity[0]) / step,
        "price_sensitivity_spread": _spread(*of_sensitivity, step),
        "basket_size_mean": _ratio(of_size[1], of_size[0]) / 100,
        "basket_size_spread": _spread(*of_size, 100),
        "consistency": 1
        - (type_entropy / math.log(len(types)) + focus_entropy / math.log(len(focuses))) / 2,
        "primary_store": totals.primary_store + 1,
        "stores": totals.stores,
        "regions": totals.regions,
        "primary_store_share": totals.top[0] / trips,
        "top_3_store_share": sum(totals.top) / trips,
        "store_hhi": totals.store_trips_squared / (trips * trips),
        "switching_rate": totals.weeks_switched / totals.weeks_with_trips,
    }


def _ratio(part: int, whole: int) -> float:
    """0 where there is nothing, as the cache has it."""
    return part / whole if whole else 0.0


def _moments(trips: Sequence[int], values: Sequence[int]) -> tuple[int, int, int]:
    """Number, sum and sum of squares of values, given how many trips have each."""
    pairs = list(zip(trips, values, strict=True))
    return sum(trips), sum(n * v for n, v in pairs), sum(n * v * v for n, v in pairs)


def _spread(count: int, total: int, total_of_squares: int, unit: int) -> float:
    """Population standard deviation from exact sums, in units of 1/unit; 0 without values."""
    if not count:
        return 0.0
    return math.sqrt(count * total_of_squares - total * total) / count / unit


def _entropy(counts: Sequence[int], total: int) -> float:
    """Shannon entropy in nats of counts that add up to `total`."""
    return sum(count / total * math.log(total / count) for count in counts if count)


def department_of_token(cache: TensorCache) -> np.ndarray:
    """(input tokens,) label of each token's department; 0 without one.

    A product is in the department that its sub-commodity is placed in.
    """
    top = top_categories(cache["categories.parent"])
    labels = {code.encode(): n for n, code in enumerate(cache.labels["department"], start=1)}
    of_category = np.array([labels.get(code, 0) for code in cache["categories.code"][top].tolist()])
    none = np.zeros(1, dtype=np.int64)
    of_product = of_category[cache["products.category"]]
    return np.concatenate([none, of_product, none, none, of_category])


def store_order(cache: TensorCache) -> np.ndarray:
    """(stores,) place of each store in the order of store codes."""
    return np.argsort(np.argsort(cache["stores.code"]))
