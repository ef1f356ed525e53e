"""Runs that come in caches of their own."""

from __future__ import annotations

import numpy as np
import pytest
from toy import toy_manifest
from worlds import START, WEEKS, columns, rows, world

from simulator.fidelity.habits import Habits
from simulator.fidelity.own import OwnPurchases
from simulator.fidelity.signs import Signs
from simulator.fidelity.simulated import of_receipts, read_simulated
from simulator.fidelity.window import Window
from simulator.receipts import Receipts
from trainer.cache.writer import write_cache
from trainer.commands.errors import InputError


def test_rows_are_matched_by_code(tmp_path, window):
    """The same receipts in a cache whose products, stores and labels have other numbers."""
    found, manifest = columns(), toy_manifest()
    found["products.code"] = found["products.code"][::-1]
    token = len(found["products.code"]) + 1 - found["items.token"]
    items = np.diff(found["trips.item_offsets"])
    found["items.token"] = token[np.lexsort((token, np.repeat(np.arange(len(items)), items)))]
    ends = np.repeat(found["trips.item_offsets"][1:], items)
    starts = np.repeat(found["trips.item_offsets"][:-1], items)
    found["items.quantity"] = found["items.quantity"][starts + ends - 1 - np.arange(len(ends))]
    found["stores.code"] = found["stores.code"][::-1]
    found["trips.store"] = len(found["stores.code"]) - 1 - found["trips.store"]
    manifest["labels"] = manifest["labels"] | {"size": manifest["labels"]["size"][::-1]}
    size = found["trips.size"]
    found["trips.size"] = np.where(size > 0, 4 - size.astype(int), 0)
    write_cache(tmp_path / "other", found, manifest)
    assert rows(read_simulated(tmp_path / "other", window)) == rows(window.real)


def test_receipts_in_memory(window):
    """Anonymous trips are left out; a store that the cache does not have is another one."""
    real = window.real
    receipts = Receipts(
        customer=real.customer.copy(), week=window.day_week[real.day], day=window.date[real.day],
        hour=real.hour, store=real.store.copy(), kind=real.kind, items=real.items,
        token=real.token, quantity=real.quantity, pence=real.quantity * 100,
    )  # fmt: skip
    receipts.customer[0] = -1
    receipts.store[1:] = -1
    found = of_receipts(receipts, window)
    window.check(found)
    np.testing.assert_array_equal(found.token, real.token[real.items[0] :])
    np.testing.assert_array_equal(found.spend, 100 * real.units[1:])
    own = OwnPurchases(window)
    first = np.diff(found.customer, prepend=-1) > 0
    assert Habits(window, own).switching(found) == first.mean()
    signs = Signs(window, own).of_trips(found)
    assert (signs["share of the customer's trips in this store"] == 0).all()
    assert (signs["format of the store"] == 0).all()


def test_strangers_are_left_out(tmp_path):
    """Who first comes in a simulated week is no customer of the real cache."""
    found = columns()
    trips = slice(*found["customers.trip_offsets"][-2:])
    found["trips.week"][trips] = START + 1
    found["trips.day"][trips] = 7 * START
    window = Window(world(tmp_path / "real", found), START, WEEKS)
    assert len(window.population) == 59
    found["customers.code"] = np.append(found["customers.code"][:-1], "NEW").astype("S8")
    world(tmp_path / "simulated", found)
    assert rows(read_simulated(tmp_path / "simulated", window)) == rows(window.real)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("spend", "it was not made of that history"),
        ("product", r"token 1 is not in .*export them with the same --like"),
        ("store", r"store NEW is not in .*build both from the same history"),
        ("weeks", "no trips in weeks 24-28"),
    ],
)
def test_what_is_no_simulation_of_the_history_is_refused(tmp_path, window, change, message):
    found = columns()
    if change == "spend":
        found["trips.spend_pence"] = found["trips.spend_pence"] + 1
    elif change == "product":
        found["products.code"] = found["products.code"].astype("S8")
        found["products.code"][0] = b"NEW"
    elif change == "store":
        found["stores.code"] = found["stores.code"].astype("S8")
        found["stores.code"][0] = b"NEW"
    else:
        kept = found["trips.week"] <= START
        found["trips.week"] = np.where(kept, found["trips.week"], 30)
    world(tmp_path / "other", found)
    with pytest.raises(InputError, match=message):
        read_simulated(tmp_path / "other", window)
