"""Simulated runs: in memory, or out of a cache of history + simulated weeks that the warehouse
built."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from simulator.fidelity.trip_sets import TripSet
from simulator.fidelity.window import Window
from simulator.receipts import Receipts
from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.commands.errors import InputError
from trainer.features.plans import UNKNOWN_STORE


def of_receipts(receipts: Receipts, window: Window) -> TripSet:
    """The trips of a run in memory, of the window's cache, without those of people whom the cache
    does not know and without days after its calendar."""
    date = window.cache["days.date"].astype(np.int64)
    day = _places(receipts.day, date)
    kept = (receipts.customer >= 0) & (day >= 0)
    lines = np.repeat(kept, receipts.items)
    stores = window.cache.rows("stores")
    store = np.where(receipts.store == UNKNOWN_STORE, stores, receipts.store)
    trip = np.repeat(np.arange(len(kept)), receipts.items)
    spend = np.bincount(trip, receipts.pence, len(kept)).astype(np.int64)
    return window.restrict(
        TripSet.of(
            customer=receipts.customer[kept], day=day[kept], hour=receipts.hour[kept],
            store=store[kept], kind=receipts.kind[kept], spend=spend[kept],
            items=receipts.items[kept], token=receipts.token[lines],
            quantity=receipts.quantity[lines],
        )
    )  # fmt: skip


def read_simulated(folder: Path, window: Window) -> TripSet:
    """The trips of a cache in the judged weeks of a window, in the rows of the window's cache.

    Customers, products and stores are matched by their codes, kinds by their labels, days by date.
    Customers whom the window's cache does not know are left out: only those with a history count.

    Raises CacheError for a cache that cannot be read, InputError for one that was made of another
    history, or with products or stores that the window's cache does not know.
    """
    cache = TensorCache(folder)
    week = cache["trips.week"].astype(np.int64)
    last = int(window.weeks[-1])
    if not ((week > window.start) & (week <= last)).any():
        raise InputError(f"{folder}: no trips in weeks {window.start + 1}-{last}")
    customer = _rows(cache, window, "customers")
    store = _rows(cache, window, "stores")
    day = _places(cache["days.date"], window.cache["days.date"])
    token = _tokens(cache, window)

    def translated(chosen: np.ndarray) -> TripSet:
        trips = TripSet.read(cache, np.flatnonzero(chosen))
        trips = trips.take(customer[trips.customer] >= 0)
        for words, code, found in (
            ("store", cache["stores.code"][trips.store], store[trips.store]),
            ("token", trips.token, token[trips.token]),
            ("date", trips.day, day[trips.day]),
        ):
            if (found < 0).any():
                unknown = code[found < 0][0]
                unknown = unknown.decode() if isinstance(unknown, bytes) else unknown
                raise InputError(
                    f"{folder}: {words} {unknown} is not in {window.cache.folder}: build both from "
                    "the same history, and export them with the same --like"
                )
        kinds = [
            _labels(cache, window, name)[trips.kind[:, column]]
            for column, name in enumerate(CONTEXT)
        ]
        return TripSet.of(
            customer=customer[trips.customer], day=day[trips.day], hour=trips.hour,
            store=store[trips.store], kind=np.stack(kinds, 1), spend=trips.spend,
            items=trips.items, token=token[trips.token], quantity=trips.quantity,
        )  # fmt: skip

    before = translated(week <= window.start)
    if len(before) != len(window.history) or before.spend.sum() != window.history.spend.sum():
        raise InputError(
            f"{folder}: {len(before):,} trips up to week {window.start}, but "
            f"{window.cache.folder} has {len(window.history):,}: it was not made of that history"
        )
    return window.restrict(translated((week > window.start) & (week <= last)))


def _rows(cache: TensorCache, window: Window, table: str) -> np.ndarray:
    """(rows,) int64: where each row of a table is in the window's cache; -1 for nowhere."""
    return _places(cache[f"{table}.code"], window.cache[f"{table}.code"])


def _tokens(cache: TensorCache, window: Window) -> np.ndarray:
    """(tokens,) int64, the same for tokens: products by code, categories by level and code."""
    mine, theirs = cache.vocabulary, window.cache.vocabulary
    found = np.full(mine.input_size, -1)
    product = _rows(cache, window, "products")
    found[1 : 1 + len(product)] = np.where(product >= 0, product + 1, -1)
    category = _places(_category_names(cache), _category_names(window.cache))
    first = theirs.input_size - window.cache.rows("categories")
    found[mine.input_size - len(category) :] = np.where(category >= 0, category + first, -1)
    return found


def _category_names(cache: TensorCache) -> np.ndarray:
    levels = cache["categories.level"].tolist()
    codes = cache["categories.code"].tolist()
    return np.array([b"%d %s" % pair for pair in zip(levels, codes, strict=True)])


def _labels(cache: TensorCache, window: Window, name: str) -> np.ndarray:
    """(codes,) int64: what the codes of a column of the kind are in the window's cache; 0 for a
    label that it does not have."""
    theirs = window.cache.labels[name]
    known = {label: code for code, label in enumerate(theirs, start=1)}
    return np.array([0, *(known.get(label, 0) for label in cache.labels[name])])


def _places(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(n,) int64: where each value (n,) stands among known ones (m,), all different; or -1."""
    order = np.argsort(known)
    place = order[np.minimum(np.searchsorted(known, values, sorter=order), len(known) - 1)]
    return np.where(known[place] == values, place, -1)
