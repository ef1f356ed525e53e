"""What is counted of trips and of customers, whose distributions are compared.

Shape letters: T trips, P customers with a history.
"""

from __future__ import annotations

import numpy as np

from simulator.fidelity.trip_sets import TripSet
from simulator.fidelity.window import Window

PER_TRIP = ("gap", "items", "spend", "quantity")
"""Days since the customer's trip before; items, pence and units of a trip."""
PER_CUSTOMER = ("trips", "items", "spend", "products", "categories")
"""A week. Products and categories are different ones, of those customers who came at all."""


def of_trips(window: Window, trips: TripSet) -> dict[str, np.ndarray]:
    """`PER_TRIP`, (T,) each."""
    return {
        "gap": gaps(window, trips), "items": trips.items, "spend": trips.spend,
        "quantity": trips.units,
    }  # fmt: skip


def of_customers(
    window: Window, trips: TripSet, customers: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """`PER_CUSTOMER` over the judged weeks, (P,) or one of each customer who came.

    customers: places in the population, of which to count; without, all.
    """
    place = window.place[trips.customer]
    size, weeks = len(window.population), len(window.weeks)
    counted = np.arange(size) if customers is None else customers
    came = np.bincount(place, minlength=size)[counted] > 0
    buyer = place[trips.trip]
    found = {
        "trips": np.bincount(place, minlength=size),
        "items": np.bincount(buyer, minlength=size),
        "spend": np.bincount(place, trips.spend, size),
        "products": different(buyer, trips.token, size),
        "categories": different(buyer, window.category[trips.token], size),
    }
    everyone = {name: values[counted] / weeks for name, values in found.items()}
    return everyone | {name: everyone[name][came] for name in ("products", "categories")}


def gaps(window: Window, trips: TripSet) -> np.ndarray:
    """(T,) int64 days since the customer's trip before; of the first one in the judged weeks, since
    their last in the history."""
    date = window.date[trips.day]
    before = previous(window, trips, window.date[window.history.day], date)
    return date - before


def previous(
    window: Window, trips: TripSet, of_history: np.ndarray, of_trips: np.ndarray
) -> np.ndarray:
    """(T,) a value of the customer's trip before, from values of all trips of the history and of
    these."""
    last = np.searchsorted(window.history.customer, trips.customer, side="right") - 1
    is_first = np.append(True, trips.customer[1:] != trips.customer[:-1])[: len(trips)]
    return np.where(is_first, of_history[last], np.append(0, of_trips[:-1])[: len(trips)])


def different(owner: np.ndarray, value: np.ndarray, owners: int) -> np.ndarray:
    """(owners,) int64: how many different values (n,) each owner (n,) has."""
    if not len(value):
        return np.zeros(owners, np.int64)
    width = int(value.max()) + 1
    return np.bincount(np.unique(owner * width + value) // width, minlength=owners)
