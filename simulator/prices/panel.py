"""What was sold at what price: products x price zones x weeks of a tensor cache.

A price zone is a group of stores that charge alike, found from their prices (`price_zones`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.prices.zones import price_zones
from trainer.cache.reader import TensorCache
from trainer.cache.rows import top_categories

MIN_TRIPS = 100
"""Trips with a product up to the last week read, from which on it is in the panel: fewer say next
to nothing about how demand answers to its price."""


@dataclass(frozen=True)
class Panel:
    """Sales and prices of P products in Z price zones over W weeks; week w is column w - 1."""

    token: np.ndarray
    """(P,) tokens of the products."""
    category: np.ndarray
    """(P,) rows of `categories`: the finest category."""
    department: np.ndarray
    """(P,) rows of `categories`: the top one."""
    zone: np.ndarray
    """(stores,) zone of each store."""
    agreement: np.ndarray
    """(Z,) share of a zone's prices that are the most frequent of product, zone and week."""
    last_week: int
    """Products and zones were chosen from weeks up to this one."""
    trips: np.ndarray
    """(P, Z, W) trips with the product."""
    units: np.ndarray
    """(P, Z, W) units of it."""
    pence: np.ndarray
    """(P, Z, W) mean shelf price over the trips with it. Carried on from the last week with one
    where there is none; before the first, that of the first."""
    is_observed: np.ndarray
    """(P, Z, W) bool: whether the price is the week's own."""
    display: np.ndarray
    """(P, Z, W) share of the zone's trips made where the product was on display, of the trips at
    stores of which that is known; 0 where none is."""
    mailer: np.ndarray
    """(P, Z, W) likewise, in the mailer."""
    traffic: np.ndarray
    """(Z, W) trips."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """P, Z, W."""
        return self.trips.shape


def read_panel(cache: TensorCache, last_week: int, promotions=None) -> Panel:
    """The panel of all weeks of a cache, of products and zones chosen from weeks up to last_week."""
    weeks, stores = cache.rows("weeks"), cache.rows("stores")
    trip_store = cache["trips.store"].astype(np.int64)
    trip_week = cache["trips.week"].astype(np.int64)
    items = np.diff(cache["trips.item_offsets"].astype(np.int64))
    token = cache["items.token"].astype(np.int64)
    store, week = np.repeat(trip_store, items), np.repeat(trip_week, items)
    pence = cache["shelf_prices.pence"][cache["items.price"]].astype(np.float64)

    is_weighed = cache["products.is_random_weight"]
    known = (token <= cache.products) & (week <= last_week)
    counts = np.bincount(token[known], minlength=cache.products + 1)[1 : cache.products + 1]
    chosen = np.flatnonzero((counts >= MIN_TRIPS) & ~is_weighed)
    row_of = np.full(cache.vocabulary.input_size, -1)
    row_of[chosen + 1] = np.arange(len(chosen))
    product = row_of[token]
    kept = product >= 0
    product, store, week, pence = (v[kept] for v in (product, store, week, pence))
    quantity = cache["items.quantity"][kept]

    known = week <= last_week
    zone = price_zones(product[known], store[known], week[known], pence[known], stores)
    zones = int(zone.max()) + 1
    shape = (len(chosen), zones, weeks)
    cell = np.ravel_multi_index((product, zone[store], week - 1), shape)

    def total(weights=None):
        return np.bincount(cell, weights, np.prod(shape)).reshape(shape).astype(np.float64)

    trips = total()
    mean = total(pence) / np.maximum(trips, 1)
    traffic = np.zeros((zones, weeks))
    np.add.at(traffic, (zone[trip_store], trip_week - 1), 1)
    of_stores = np.zeros((stores, weeks))
    np.add.at(of_stores, (trip_store, trip_week - 1), 1)
    top = top_categories(cache["categories.parent"])
    category = cache["products.category"][chosen].astype(np.int64)
    if promotions is None:
        promotions = {n: np.zeros(0, int) for n in ("token", "store", "week", "display", "mailer")}
    display, mailer, front = _features(promotions, row_of, zone, of_stores, shape)
    return Panel(
        chosen + 1,
        category,
        top[category],
        zone,
        None,
        last_week,
        trips,
        total(quantity),
        _carried(mean, trips > 0),
        trips > 0,
        display,
        mailer,
        traffic,
    )


def _carried(pence, is_observed):
    weeks = np.arange(pence.shape[-1])
    last = np.maximum.accumulate(np.where(is_observed, weeks, -1), axis=-1)
    first = is_observed.argmax(axis=-1)[..., None]
    return np.take_along_axis(pence, np.where(last < 0, first, last), axis=-1)


def _features(promotions, row_of, zone, of_stores, shape):
    """Shares of trips."""
    product = row_of[promotions["token"]]
    kept = product >= 0
    product = product[kept]
    store, week = (promotions[n][kept].astype(np.int64) for n in ("store", "week"))
    is_known = np.zeros(of_stores.shape, dtype=bool)
    is_known[np.unique(promotions["store"])] = True
    of_stores = np.where(is_known, of_stores, 0)
    of_zone = np.zeros(shape[1:])
    np.add.at(of_zone, zone, of_stores)
    cell = np.ravel_multi_index((product, zone[store], week - 1), shape)
    w = of_stores[store, week - 1]
    out = []
    FRONT = np.isin(np.arange(256), [ord(x) for x in "DFHLZ"])
    for on in (
        promotions["display"][kept] > 0,
        promotions["mailer"][kept] > 0,
        FRONT[promotions["mailer"][kept]],
    ):
        out.append(
            np.bincount(cell, w * on, np.prod(shape)).reshape(shape) / np.maximum(of_zone, 1)
        )
    return out
