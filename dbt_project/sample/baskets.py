"""Everything bought in one week, drawn at once.

A week needs nothing from other weeks: what persists (repertoires with purchase cycles and a slow
drift, favourite stores, rates, holidays) belongs to the household. That is why weeks can be drawn
in any order and by any number of processes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import shape
from .calendar import WEEKS_A_YEAR, traffic
from .catalogue import Catalogue
from .demand import FOCUS, Demand
from .draw import cumulate, normal_quantile, pick, stream, within
from .households import Households
from .stores import Stores

# Basket size: weight of the household in the normal score, and shift by format.
HOUSEHOLD_PART = 0.35
FORMAT_SHIFT = np.array([0.135, -0.10, -0.33, 0.11])
ITEMS_SCORE = normal_quantile(shape.ITEMS_CDF[:-1])
# Relative probability of each focus in baskets of 1-2, 3-9, and 10 or more items.
FOCUS_BY_SIZE = np.array([[0.8, 1.25, 0.8, 1.3], [1.0, 0.9, 1.0, 0.6], [0.65, 0.5, 2.3, 0.2]])
# Share of errands among one-item baskets, and their place among the focuses.
ERRANDS = 0.045
ERRAND = FOCUS.shape[0] - 1
PORTION_SPREAD = 0.35


@dataclass(frozen=True)
class Week:
    """Trips and items of a week, trips in order of household. T trips, I items."""

    household: np.ndarray
    """(T,)"""
    store: np.ndarray
    """(T,)"""
    day: np.ndarray
    """(T,) 0 is Monday."""
    hour: np.ndarray
    """(T,)"""
    trip: np.ndarray
    """(I,) ascending position of the item's trip."""
    product: np.ndarray
    """(I,)"""
    quantity: np.ndarray
    """(I,)"""
    spend: np.ndarray
    """(I,) pence."""


def expected_trips(households: Households, week: int) -> float:
    """Mean of the number of trips in a week."""
    return float(trip_rates(households, week).sum())


def trip_rates(h: Households, week: int) -> np.ndarray:
    """Mean number of trips of each household in a week, at base prices: (households,)."""
    active = (h.first_week <= week) & (week <= h.last_week)
    away = (week - h.away) % WEEKS_A_YEAR < 2
    return np.where(active & ~away, h.rate * traffic(week), 0.0)


def draw_trips(seed: int, week: int, h: Households, stores: Stores):
    """Household, store, day and hour of every trip of a week, each of shape (T,)."""
    rng = stream(seed, "trips", week)
    household = np.repeat(np.arange(h.rate.size), rng.poisson(trip_rates(h, week)))
    count = household.size
    weight = np.where(stores.first_week[h.store] <= week, h.store_weight, 0.0)
    at = pick(
        cumulate(weight), h.store_start[household], h.store_start[household + 1], rng.random(count)
    )
    day = rng.integers(0, 7, count)
    hour = shape.FIRST_HOUR + rng.choice(
        shape.HOUR_SHARE.size, count, p=shape.HOUR_SHARE / shape.HOUR_SHARE.sum()
    )
    return household, h.store[at], day, hour


def draws_for(wanted: np.ndarray) -> np.ndarray:
    """Draws for a number of items: more than items, because a product counts once in a basket."""
    return np.where(wanted == 1, 1, wanted + 2 * wanted // 3 + 3)


def focus_mix(of_household: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Relative probability of each focus but an errand, for a number of items: (n, 4)."""
    return of_household * FOCUS_BY_SIZE[np.digitize(wanted, [3, 10])]


def errands_possible(catalogue: Catalogue, demand: Demand) -> bool:
    """Whether anything is on sale that errands are for."""
    return bool((demand.on_sale & (catalogue.mission == shape.UNCLASSIFIED)).any())


def favourites(week: int, h: Households, catalogue: Catalogue, demand: Demand, owners):
    """Running total of this week's repertoire weights, (pairs, focuses) laid out by focus.

    Returns it, the first pair of each owner, pairs of each owner, and the product of each pair.
    """
    size = h.favourite_start[owners + 1] - h.favourite_start[owners]
    pair = np.repeat(h.favourite_start[owners], size) + within(size)
    owner, product = np.repeat(owners, size), h.favourite[pair]
    weight = h.favourite_weight[pair] * (
        1 + 0.85 * np.cos(2 * np.pi * week / h.cycle[pair] + h.phase[pair])
    )
    weight *= np.exp(0.9 * np.cos(week * h.drift[pair] + h.drift_phase[pair]))
    weight *= demand.factor[h.region[owner], h.sensitivity[owner], product]
    by_focus = weight * FOCUS[:, catalogue.mission[product]]
    return cumulate(by_focus), np.cumsum(size) - size, size, product


def first_of(trip, product, products, wanted):
    """Keep the first occurrence of each product in a trip, and at most `wanted` per trip."""
    _, first = np.unique(trip * products + product, return_index=True)
    first.sort()
    count = np.bincount(trip[first], minlength=wanted.size)
    return first[within(count) < wanted[trip[first]]]


def draw_items(seed, week, trips, h: Households, catalogue: Catalogue, stores, demand: Demand):
    """Products of each trip: ascending trip, product, both of shape (I,)."""
    rng = stream(seed, "items", week)
    household, store = trips[0], trips[1]
    count = household.size
    of_household = np.sqrt(HOUSEHOLD_PART) * h.basket[household]
    score = of_household + np.sqrt(1 - HOUSEHOLD_PART) * rng.normal(0, 1, count)
    wanted = 1 + np.searchsorted(ITEMS_SCORE, score + FORMAT_SHIFT[stores.format[store]])
    mix = focus_mix(h.focus[household], wanted)
    turn = np.cumsum(mix, axis=1)
    focus = (rng.random(count)[:, None] * turn[:, -1:] >= turn[:, :-1]).sum(1)
    errand = errands_possible(catalogue, demand) & (wanted == 1) & (rng.random(count) < ERRANDS)
    focus[errand] = ERRAND

    draws = draws_for(wanted)
    trip = np.repeat(np.arange(count), draws)
    who, focus_of = household[trip], focus[trip]
    region, sensitivity = h.region[who], h.sensitivity[who]
    u = rng.random((4, trip.size))
    product = demand.draw(region, sensitivity, focus_of, u[0])

    owners, place = np.unique(household, return_inverse=True)
    total, first, size, favourite = favourites(week, h, catalogue, demand, owners)
    repeat = np.flatnonzero(u[1] < h.loyalty[who])  # draws from the household's repertoire
    row = first[place[trip[repeat]]] + focus_of[repeat] * favourite.size
    at = pick(total, row, row + size[place[trip[repeat]]], u[0, repeat])
    product[repeat] = np.where(at >= 0, favourite[at % favourite.size], product[repeat])
    product = demand.respond(product, region, sensitivity, u[2], u[3])

    pulled = rng.random(trip.size) < catalogue.pull[product]
    pulled &= demand.on_sale[np.maximum(catalogue.partner[product], 0)]
    copies = 1 + pulled
    source = np.repeat(np.arange(trip.size), copies)
    second = within(copies) == 1
    product = np.where(second, catalogue.partner[product[source]], product[source])
    trip = trip[source]
    chosen = first_of(trip, product, catalogue.need.size, wanted)
    return trip[chosen], product[chosen]


def draw_amounts(seed, week, trips, items, catalogue: Catalogue, stores, demand: Demand):
    """Quantity and spend in pence of each item."""
    rng = stream(seed, "amounts", week)
    store = trips[1][items[0]]
    product = items[1]
    price = demand.price[stores.region[store], stores.format[store], product]
    more, many = rng.random(product.size), rng.random(product.size)
    return amounts(catalogue, product, price, more, many, rng.normal(0, 1, product.size))


def amounts(catalogue: Catalogue, product, price, more, many, portion):
    """Quantity and spend in pence of items at a price, from draws of each.

    more, many: uniform on [0, 1), whether there is more than one, and how many; portion: standard
    normal, of the weight. All arguments broadcast.
    """
    share = np.cumsum(shape.MULTIPLE_SHARE) / shape.MULTIPLE_SHARE.sum()
    several = np.searchsorted(share, many, side="right")
    several = shape.MULTIPLES[np.minimum(several, shape.MULTIPLES.size - 1)]
    quantity = np.where(more < catalogue.multiple[product], several, 1)
    kilograms = catalogue.portion[product] * np.exp(PORTION_SPREAD * portion)
    weighed = np.maximum(np.rint(price * kilograms), 1).astype(np.int64)
    return quantity, np.where(catalogue.random_weight[product], weighed, quantity * price)


def draw_week(seed, week, h: Households, catalogue: Catalogue, stores: Stores, demand) -> Week:
    """One week of the chain."""
    trips = draw_trips(seed, week, h, stores)
    items = draw_items(seed, week, trips, h, catalogue, stores, demand)
    quantity, spend = draw_amounts(seed, week, trips, items, catalogue, stores, demand)
    return Week(*trips, *items, quantity, spend)
