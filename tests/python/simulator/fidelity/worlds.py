"""Caches of customers with tastes of their own, and slow readers of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from toy import toy_columns, toy_manifest

from simulator.fidelity.trip_sets import TripSet
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache

START, WEEKS = 23, 5


def columns(
    customers: int = 60, trips: int = 40, seed: int = 5, **options
) -> dict[str, np.ndarray]:
    """Columns of a toy chain whose customers each have products of their own."""
    found = toy_columns(trips_of=[trips] * customers, seed=seed, largest_basket=6, **options)
    products, offsets = len(found["products.code"]), found["trips.item_offsets"]
    trip = np.repeat(np.arange(customers * trips), np.diff(offsets))
    token = (found["items.token"] - 1 + 5 * (trip // trips)) % products + 1
    found["items.token"] = token[np.lexsort((token, trip))]
    return found


def world(folder: Path, found: dict[str, np.ndarray] | None = None, **options) -> TensorCache:
    """Such a cache; found: columns to write in place of generated ones."""
    write_cache(folder, columns(**options) if found is None else found, toy_manifest())
    return TensorCache(folder)


def rows(trips: TripSet) -> list[tuple]:
    """Trips as tuples: customer, day, hour, store, kind, spend, {token: quantity}."""
    return [
        (
            int(trips.customer[i]), int(trips.day[i]), int(trips.hour[i]), int(trips.store[i]),
            tuple(trips.kind[i].tolist()), int(trips.spend[i]),
            dict(zip(trips.token[a:b].tolist(), trips.quantity[a:b].tolist(), strict=True)),
        )
        for i, (a, b) in enumerate(zip(trips.item_offsets, trips.item_offsets[1:], strict=False))
    ]  # fmt: skip


def trip_set(trips: list[tuple]) -> TripSet:
    """`TripSet.of` of tuples as `rows` makes them."""
    customer, day, hour, store, kind, spend, baskets = zip(*trips, strict=True)
    return TripSet.of(
        customer=np.array(customer), day=np.array(day), hour=np.array(hour),
        store=np.array(store), kind=np.array(kind), spend=np.array(spend),
        items=np.array([len(basket) for basket in baskets]),
        token=np.array([token for basket in baskets for token in basket]),
        quantity=np.array([times for basket in baskets for times in basket.values()]),
    )  # fmt: skip
