"""What was sold at what price: products x price zones x weeks of a tensor cache."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.prices.zones import price_zones
from trainer.cache.reader import TensorCache
from trainer.cache.rows import top_categories

MIN_TRIPS = 100
"""Trips with a product from which on it is in the panel, of the training weeks and of those up to
`last_week`. As the var promotions_min_trips of dbt_project.yml."""
MOVE = 0.1
"""Change of a price, as a share of the one before, that counts as a move."""


@dataclass(frozen=True)
class Panel:
    """Sales and prices of P products in Z price zones over W weeks; week w is column w - 1."""

    token: np.ndarray
    """(P,) int64 tokens of the products, ascending."""
    category: np.ndarray
    """(P,) int64 rows of `categories`: the finest category."""
    department: np.ndarray
    """(P,) int64 rows of `categories`: the top one."""
    zone: np.ndarray
    """(stores,) int64 zone of each store."""
    last_week: int
    """Products and zones were chosen from weeks up to this one."""
    moved: np.ndarray
    """(P,) share of the trips up to `last_week` with it at a price that had moved by `MOVE` or more
    from the one last seen at the same store."""
    trips: np.ndarray
    """(P, Z, W) trips with the product."""
    units: np.ndarray
    """(P, Z, W) units of it."""
    pence: np.ndarray
    """(P, Z, W) mean shelf price of the trips with it. Where there are none, that of the last week
    with any; before the first, that of the first."""
    is_observed: np.ndarray
    """(P, Z, W) bool: whether the price is the week's own."""
    display: np.ndarray
    """(P, Z, W) share of the zone's trips made where the product was on display. Only of trips to
    stores of which promotions are known; 0 without any."""
    mailer: np.ndarray
    """(P, Z, W) likewise, where the mailer had it."""
    traffic: np.ndarray
    """(Z, W) trips of the zone."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """P, Z, W."""
        return self.trips.shape

    def row_of_token(self, tokens: int) -> np.ndarray:
        """(tokens,) row of each token up to a number of them; -1 for those that are not here."""
        rows = np.full(tokens, -1)
        rows[self.token] = np.arange(len(self.token))
        return rows

    def change(self) -> np.ndarray:
        """(P, Z, W) change of the price as a share of the week before's; 0 unless both were
        observed. What was given away cost a penny."""
        change = np.zeros(self.shape)
        both = self.is_observed[..., 1:] & self.is_observed[..., :-1]
        pence = np.maximum(self.pence, 1)
        # Rounded: 90 is 10 % less than 100.
        shares = np.round(pence[..., 1:] / pence[..., :-1] - 1, 9)
        change[..., 1:] = np.where(both, shares, 0)
        return change


def read_panel(cache: TensorCache, last_week: int) -> Panel:
    """The panel of all weeks of a cache, of products and zones known by `last_week`.

    Products sold by weight are left out: the price of their unit is not that of a portion.
    """
    is_weighed = cache["products.is_random_weight"]
    items = _Items(cache)
    known = items.week <= last_week
    counts = np.bincount(items.token[known], minlength=cache.vocabulary.input_size)
    enough = np.minimum(counts[1 : cache.products + 1], cache["products.train_trips"]) >= MIN_TRIPS
    token = np.flatnonzero(enough & ~is_weighed) + 1
    product_of_token = np.full(cache.vocabulary.input_size, -1)
    product_of_token[token] = np.arange(len(token))
    items = items.of(product_of_token[items.token] >= 0)
    product, known = product_of_token[items.token], items.week <= last_week

    is_move = np.abs(items.pence - items.previous_pence) >= MOVE * items.previous_pence
    moves = np.bincount(product[known], is_move[known], minlength=len(token))
    moved = moves / np.maximum(np.bincount(product[known], minlength=len(token)), 1)
    zone = price_zones(
        product[known], items.store[known], items.week[known], items.pence[known],
        cache.rows("stores"),
    )  # fmt: skip
    zones = int(zone.max()) + 1
    shape = (len(token), zones, cache.rows("weeks"))
    cell = np.ravel_multi_index((product, zone[items.store], items.week - 1), shape)

    def total(values: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(cell, values, np.prod(shape)).astype(float).reshape(shape)

    trips = total()
    visits = np.zeros((cache.rows("stores"), shape[-1]))
    np.add.at(visits, (cache["trips.store"], cache["trips.week"].astype(np.int64) - 1), 1)
    traffic = np.zeros(shape[1:])
    np.add.at(traffic, zone, visits)
    category = cache["products.category"][token - 1].astype(np.int64)
    display, mailer = _promotions(cache, product_of_token, zone, visits, shape)
    return Panel(
        token=token,
        category=category,
        department=top_categories(cache["categories.parent"])[category],
        zone=zone,
        last_week=last_week,
        moved=moved,
        trips=trips,
        units=total(items.quantity),
        pence=carried(total(items.pence) / np.maximum(trips, 1), trips > 0),
        is_observed=trips > 0,
        display=display,
        mailer=mailer,
        traffic=traffic,
    )


class _Items:
    """Columns of the items of a cache, (items,) each."""

    def __init__(self, cache: TensorCache) -> None:
        per_trip = np.diff(cache["trips.item_offsets"].astype(np.int64))
        price = cache["items.price"]
        self.token = cache["items.token"].astype(np.int64)
        self.store = np.repeat(cache["trips.store"].astype(np.int64), per_trip)
        self.week = np.repeat(cache["trips.week"].astype(np.int64), per_trip)
        self.quantity = cache["items.quantity"]
        self.pence = cache["shelf_prices.pence"][price].astype(float)
        self.previous_pence = cache["shelf_prices.previous_pence"][price].astype(float)

    def of(self, kept: np.ndarray) -> _Items:
        part = object.__new__(_Items)
        part.__dict__ = {name: values[kept] for name, values in self.__dict__.items()}
        return part


def carried(pence: np.ndarray, is_observed: np.ndarray) -> np.ndarray:
    """(..., W) prices: where none was observed the last one, before the first the first."""
    last = np.maximum.accumulate(np.where(is_observed, np.arange(pence.shape[-1]), -1), axis=-1)
    first = is_observed.argmax(axis=-1)[..., None]
    return np.take_along_axis(pence, np.where(last < 0, first, last), axis=-1)


def _promotions(
    cache: TensorCache, product_of_token: np.ndarray, zone: np.ndarray, visits: np.ndarray,
    shape: tuple[int, int, int],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Display and mailer of the panel. visits: (stores, W) trips."""
    product = product_of_token[cache["promotions.product"].astype(np.int64) + 1]
    kept = product >= 0
    store = cache["promotions.store"].astype(np.int64)
    is_known = np.bincount(store, minlength=len(visits)) > 0
    visits = np.where(is_known[:, None], visits, 0)
    of_zone = np.zeros(shape[1:])
    np.add.at(of_zone, zone, visits)
    store, week = store[kept], cache["promotions.week"][kept].astype(np.int64) - 1
    cell = np.ravel_multi_index((product[kept], zone[store], week), shape)
    shares = []
    for name in ("display", "mailer"):
        on = visits[store, week] * (cache[f"promotions.{name}"][kept] > 0)
        of_cell = np.bincount(cell, on, np.prod(shape)).reshape(shape)
        shares.append(of_cell / np.maximum(of_zone, 1))
    return shares[0], shares[1]
