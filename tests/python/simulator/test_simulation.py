"""A toy chain rolled forward: what must hold of every run."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from toy import toy_columns, toy_manifest
from toy_start import START

from simulator import simulation
from simulator.planned_prices import PriceChange
from simulator.prices.absences import Instead
from simulator.scenario import Opening, Scenario, Weeks
from simulator.simulation import Simulator
from simulator.substitution import Substitution
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.commands.errors import InputError

WEEKS = 3
COLUMNS = ("customer", "day", "hour", "store", "items")


@pytest.fixture(scope="module")
def receipts(simulator):
    return simulator.run(WEEKS, seed=7)


def same(a, b):
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


def lines(receipts, name):
    """A column of trips for each line."""
    return np.repeat(getattr(receipts, name), receipts.items)


def test_receipts_are_whole(chain, simulator, receipts):
    cache, _ = chain
    trips = len(receipts.customer)
    assert trips > 50 and receipts.items.sum() == len(receipts.token)
    assert (receipts.items >= 1).all() and (receipts.quantity >= 1).all()
    assert ((receipts.token >= 1) & (receipts.token <= cache.products)).all()
    assert set(receipts.week) == {START + 1, START + 2, START + 3}
    first = [simulator._chain.calendar.first_day(week) for week in receipts.week]
    assert ((receipts.day >= first) & (receipts.day < np.array(first) + 7)).all()
    for start, stop in zip(
        receipts.items.cumsum() - receipts.items, receipts.items.cumsum(), strict=True
    ):
        assert (np.diff(receipts.token[start:stop]) > 0).all()


def test_a_customers_trips_do_not_go_back_in_time(receipts):
    for customer in np.unique(receipts.customer[receipts.customer >= 0]):
        own = receipts.customer == customer
        assert (np.diff(receipts.day[own] * 24 + receipts.hour[own]) >= 0).all()


def test_shelf_prices_are_paid_but_for_weighed_portions(chain, simulator, receipts):
    cache, _ = chain
    pence = simulator._prices.at(receipts.token, lines(receipts, "store"), lines(receipts, "week"))
    expected = np.rint(pence[:, 0].astype(float) * receipts.quantity)
    weighed = cache["products.is_random_weight"][receipts.token - 1]
    np.testing.assert_array_equal(receipts.pence[~weighed], expected[~weighed])
    assert (receipts.pence[weighed] != expected[weighed]).any()


def test_the_same_seed_gives_the_same_receipts(simulator, receipts):
    assert same(simulator.run(WEEKS, seed=7), receipts)
    assert not same(simulator.run(WEEKS, seed=8), receipts)


def test_they_do_not_depend_on_who_is_simulated_together(chain, receipts, monkeypatch):
    cache, model = chain
    monkeypatch.setattr(simulation, "BLOCK", 7)
    monkeypatch.setattr("simulator.baskets.AT_ONCE", 3)
    found = Simulator(model, cache, START).run(1, seed=7)
    week = receipts.week == START + 1
    order, expected = (np.lexsort((part.day, part.customer)) for part in (found, receipts))
    expected = expected[week[expected]]
    for name in COLUMNS:
        np.testing.assert_array_equal(
            getattr(found, name)[order], getattr(receipts, name)[expected]
        )


def test_nothing_after_the_start_is_read(chain, simulator, receipts, tmp_path):
    """Other trips, baskets and prices in the weeks after it; with planned prices too."""
    _, model = chain
    columns = toy_columns(trips_of=[30] * 60, seed=4)
    later = columns["trips.week"] > START
    item = np.repeat(later, np.diff(columns["trips.item_offsets"]))
    assert later.any()
    columns["trips.hour"][later] = 3
    columns["trips.store"][later] = 0
    columns["items.quantity"][item] = 9
    only_later = np.setdiff1d(columns["items.price"][item], columns["items.price"][~item])
    columns["shelf_prices.pence"][only_later] = 1
    columns["anonymous_prices.pence"][columns["anonymous_prices.week"] > START] = 1
    write_cache(tmp_path / "cache", columns, toy_manifest())
    changed = Simulator(model, TensorCache(tmp_path / "cache"), START)
    assert same(changed.run(WEEKS, seed=7), receipts)
    cache = changed.cache
    every = np.ones(cache.vocabulary.input_size, bool), np.ones(cache.rows("stores"), bool)
    plan = Scenario(prices=(PriceChange(*every, START + 1, START + 1, factor=1.3),))
    dear = simulator.run(WEEKS, seed=7, scenario=plan)
    assert same(changed.run(WEEKS, seed=7, scenario=plan), dear)
    assert len(dear.token) < len(receipts.token)


def test_a_price_change_touches_nothing_but_its_shelves(simulator, receipts, chain):
    """What is bought there costs what was planned; before it nothing differs."""
    cache, _ = chain
    token = np.zeros(cache.vocabulary.input_size, bool)
    token[1 + np.flatnonzero(~cache["products.is_random_weight"])[:3]] = True
    stores = np.ones(cache.rows("stores"), bool)
    plan = Scenario(prices=(PriceChange(token, stores, START + 2, START + 2, pence=999.0),))
    found = simulator.run(WEEKS, seed=7, scenario=plan)
    changed = token[found.token] & (lines(found, "week") == START + 2)
    assert (found.pence[changed] == 999 * found.quantity[changed]).all() and changed.any()
    first = receipts.week <= START + 1
    np.testing.assert_array_equal(found.customer[found.week <= START + 1], receipts.customer[first])


def test_a_closed_store_is_not_visited(simulator, receipts):
    busiest = int(np.bincount(receipts.store[receipts.store >= 0]).argmax())
    plan = Scenario(closed_stores=((busiest, Weeks(START + 2, START + 2)),))
    found = simulator.run(WEEKS, seed=7, scenario=plan)
    visited = {w: (found.store[found.week == START + w] == busiest).any() for w in (1, 2, 3)}
    assert visited == {1: True, 2: False, 3: True}


def test_a_delisted_product_is_not_bought(simulator, receipts):
    dearest = int(np.bincount(receipts.token).argmax())
    plan = Scenario(delisted=((dearest, Weeks(START + 1, START + 2)),))
    found = simulator.run(WEEKS, seed=7, scenario=plan)
    weeks = set(lines(found, "week")[found.token == dearest])
    assert weeks <= {START + 3}


def test_who_comes_when_does_not_depend_on_baskets(simulator, receipts):
    dearest = int(np.bincount(receipts.token).argmax())
    plan = Scenario(delisted=((dearest, Weeks(START + 1, START + 3)),))
    found = simulator.run(WEEKS, seed=7, scenario=plan, anonymous=False)

    def trips(receipts):
        return np.stack([receipts.customer, receipts.day], axis=1)[receipts.customer >= 0].tolist()

    # Who came for the missing product alone leaves no receipt.
    assert 0.8 * len(trips(receipts)) < len(found.customer) <= len(trips(receipts))
    assert all(trip in trips(receipts) for trip in trips(found))


@pytest.mark.parametrize(("share", "left"), [(0.0, 0.5), (1.0, 1.0)])
def test_buyers_of_missing_products_take_others_or_go_without(
    chain, simulator, receipts, monkeypatch, share, left
):
    """Half of all products go, those with odd numbers, in the same proportion everywhere."""
    cache, _ = chain
    substitution = Substitution(cache, None)
    substitution.instead = Instead(share, 0.0, 1)
    monkeypatch.setitem(vars(simulator), "substitution", substitution)
    gone = range(1, cache.products + 1, 2)
    plan = Scenario(delisted=tuple((token, Weeks(START + 1, 99)) for token in gone))
    found = simulator.run(WEEKS, seed=7, scenario=plan)
    before = np.isin(receipts.token, gone).mean()
    assert not np.isin(found.token, gone).any()
    expected = 1 - before * (1 - share)
    assert left - 0.1 < expected < left + 0.1
    assert len(found.token) / len(receipts.token) == pytest.approx(expected, abs=0.1)


def test_a_new_window_begins_as_if_it_were_the_start(simulator, receipts, monkeypatch):
    """Every second week here; of the first nothing changes."""
    monkeypatch.setattr(simulation, "WINDOW", 14)
    found = simulator.run(WEEKS, seed=7)
    early = receipts.week <= START + 2
    np.testing.assert_array_equal(found.day[found.week <= START + 2], receipts.day[early])
    assert not np.array_equal(found.day, receipts.day)


def test_nobody_comes_on_a_closed_day(simulator, receipts):
    day = int(np.bincount(receipts.day[receipts.customer >= 0]).argmax())
    found = simulator.run(WEEKS, seed=7, scenario=Scenario(closed_days=frozenset({day})))
    assert day not in found.day and day in receipts.day


@pytest.mark.parametrize("what", ["days", "stores", "products"])
def test_in_a_week_in_which_all_is_closed_nobody_comes(chain, simulator, receipts, what):
    cache, _ = chain
    week, first = Weeks(START + 1, START + 1), simulator._chain.calendar.first_day(START + 1)
    plan = {
        "days": Scenario(closed_days=frozenset(range(first, first + 7))),
        "stores": Scenario(closed_stores=[(row, week) for row in range(cache.rows("stores"))]),
        "products": Scenario(delisted=[(token, week) for token in range(1, cache.products + 1)]),
    }[what]
    found = simulator.run(1, seed=7, scenario=plan)
    assert not len(found.customer) and not len(found.token) and found.kind.shape == (0, 4)
    assert set(simulator.run(2, seed=7, scenario=plan).week) == {START + 2}


def test_anonymous_trips_stay_where_those_beside_them_do(simulator, receipts, monkeypatch):
    """With 4 for each trip of a customer, and 5 customers more."""
    rate, tall = 4.0, np.arange(60)
    p = np.exp(tall * np.log(rate) - rate - np.log(np.maximum(tall, 1)).cumsum())
    monkeypatch.setattr(simulator._strangers, "_poisson", p.cumsum())
    found = [
        simulator.run(1, seed=7, scenario=Scenario(new_customers=((new, Weeks(26, 26)),)))
        for new in (0, 5)
    ]
    known = (receipts.week == START + 1).sum()
    assert abs((found[0].customer == -1).sum() - rate * known) < 4 * np.sqrt(rate * known)
    old = [{name: getattr(each, name)[each.customer >= -1] for name in COLUMNS} for each in found]
    for name in COLUMNS:
        np.testing.assert_array_equal(old[0][name], old[1][name])
    assert len(found[1].customer) == len(found[0].customer) + 5


def test_new_customers_come_and_come_back(simulator, receipts):
    plan = Scenario(new_customers=((4, Weeks(START + 1, START + 2)),))
    found = simulator.run(WEEKS, seed=7, scenario=plan)
    new = found.customer[found.customer < -1]
    assert set(new) == set(range(-9, -1))
    assert len(new) > 8
    assert (receipts.customer >= -1).all()


def test_a_launched_product_can_be_bought(simulator, chain):
    cache, _ = chain
    plan = Scenario(launched=(Opening(5, 6, START + 2),))
    simulator.run(1, seed=7, scenario=plan)
    sales = simulator._chain.sales
    plan.launch(simulator._chain, START + 2)
    assert sales.recent[5] == sales.recent[6] and plan.on_sale(simulator._chain, START + 2)[5]


@pytest.mark.parametrize("start", [19, 31])
def test_a_start_within_the_training_weeks_is_refused(chain, start):
    cache, model = chain
    with pytest.raises(InputError, match=f"start {start}: expected a week from 20"):
        Simulator(model, cache, start)
