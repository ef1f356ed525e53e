"""Where, at which hour and for what customers come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import torch

from simulator.draws import chosen, uniforms
from simulator.stores import NewStores
from trainer.cache.schema import CONTEXT
from trainer.features.calendar import EPOCH
from trainer.features.plans import UNKNOWN_STORE, TripPlan
from trainer.model.next_visits import NextVisits

STORE, HOUR, KIND = 2, 3, 4
"""What a number is drawn for; further columns of the kind are KIND + 1 and so on."""


def plan_visits(
    visits: NextVisits, days: np.ndarray, new_stores: NewStores, is_open: np.ndarray,
    tried: np.ndarray, seed: int, keys: tuple[np.ndarray, ...],
) -> list[TripPlan]:  # fmt: skip
    """Draw store, hour and kind of visits on days (n,), in days since 1970-01-01.

    is_open (stores,) bool: where one can go. tried (stores,): see `NewStores.draw`. keys (n,) each:
    what tells the visits apart, for `draws`.
    """
    dates = [EPOCH + timedelta(int(day)) for day in days]

    def drawn(what: int, *more: int) -> np.ndarray:
        return uniforms(seed, what, *keys, *more)

    stores = _stores(visits, dates, new_stores, is_open, tried, drawn(STORE), drawn(STORE, 1))
    hours = chosen(visits.hours(dates, stores).double().numpy(), drawn(HOUR))
    codes: list[np.ndarray] = []
    for column in range(len(CONTEXT)):
        p = visits.kind(dates, stores, torch.from_numpy(hours), *map(torch.from_numpy, codes))
        codes.append(chosen(p.double().numpy(), drawn(KIND + column)) + 1)
    return [
        TripPlan(day, int(hour), int(store), tuple(int(code) for code in kind))
        for day, hour, store, kind in zip(
            dates, hours, stores, zip(*codes, strict=True), strict=True
        )
    ]


def _stores(
    visits: NextVisits, dates: Sequence[date], new_stores: NewStores, is_open: np.ndarray,
    tried: np.ndarray, u: np.ndarray, of_new: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """(n,) rows of the chain's stores: own ones that are open, or new ones. u, of_new (n,):
    uniforms, the second for the choice among new stores."""
    chances = visits.stores(dates)
    customer, store = chances.customer.numpy(), chances.identity.numpy() - 1
    # Stores outside the vocabulary are never closed; they are the last place of the mask.
    p = chances.p.double().numpy() * np.append(is_open, True)[store]
    n = len(dates)
    total = np.bincount(customer, p, n) + chances.new.double().numpy()
    before = np.concatenate([[0], p.cumsum()])
    first, last = (np.searchsorted(customer, np.arange(n), side) for side in ("left", "right"))
    place = np.searchsorted(before, before[first] + u * total, side="right") - 1
    is_new = place >= last
    found = np.where(is_new, UNKNOWN_STORE, store[place.clip(max=len(store) - 1)])
    for row in np.flatnonzero(is_new):
        found[row] = new_stores.draw(store[first[row] : last[row]], tried, of_new[row])
    return found
