"""Recorded trips as finished trips."""

import numpy as np
from toy import toy_cache

from trainer.cache.schema import CONTEXT
from trainer.features.calendar import EPOCH
from trainer.features.replay import finished_trips


def test_trips_of_a_cache(tmp_path):
    cache = toy_cache(tmp_path, customers=5, seed=4)
    rows = np.array([3, 1])
    for trip, row in zip(finished_trips(cache, rows), rows, strict=True):
        items = slice(*cache["trips.item_offsets"][[row, row + 1]].tolist())
        price = cache["items.price"][items]
        assert (trip.plan.date - EPOCH).days == cache["days.date"][cache["trips.day"][row]]
        assert trip.plan.hour == cache["trips.hour"][row]
        assert trip.plan.store == cache["trips.store"][row]
        assert list(trip.plan.kind) == [cache[f"trips.{name}"][row] for name in CONTEXT]
        assert trip.tokens.tolist() == cache["items.token"][items].tolist()
        assert trip.quantities.tolist() == cache["items.quantity"][items].tolist()
        assert trip.spend_pence == cache["trips.spend_pence"][row]
        assert trip.pence[:, 0].tolist() == cache["shelf_prices.pence"][price].tolist()
