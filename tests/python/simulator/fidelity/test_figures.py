"""Quantities, units, habits and privacy against slow counting of the same trips."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from worlds import START, WEEKS, rows, trip_set

from simulator.fidelity.habits import SMOOTHING, Habits
from simulator.fidelity.own import OwnPurchases
from simulator.fidelity.privacy import Copies, Membership, likeness
from simulator.fidelity.quantities import of_customers, of_trips
from simulator.fidelity.stand_ins import previous_weeks
from simulator.fidelity.units import UnitsForecast, units
from trainer.cache.held_out import held_out


@pytest.fixture(scope="module")
def habits(window):
    return Habits(window, OwnPurchases(window))


def test_quantities_of_trips(window):
    found = of_trips(window, window.real)
    last = {customer: day for customer, day, *_ in rows(window.history)}
    for i, (customer, day, _, _, _, spend, basket) in enumerate(rows(window.real)):
        assert found["gap"][i] == day - last[customer]
        assert found["items"][i] == len(basket) and found["quantity"][i] == sum(basket.values())
        assert found["spend"][i] == spend
        last[customer] = day


def test_quantities_of_customers(window):
    trips = window.real.take(np.arange(0, len(window.real), 9))  # so that some stay away
    found, of = of_customers(window, trips), defaultdict(list)
    for customer, *rest in rows(trips):
        of[customer].append(rest)
    assert found["trips"].tolist() == [len(of[c]) / WEEKS for c in window.population]
    spend = [sum(trip[-2] for trip in of[c]) / WEEKS for c in window.population]
    assert found["spend"] == pytest.approx(spend)
    items = [sum(len(trip[-1]) for trip in of[c]) / WEEKS for c in window.population]
    assert found["items"] == pytest.approx(items)
    come = [c for c in window.population if of[c]]
    assert len(come) < len(window.population)
    bought = [{token for trip in of[c] for token in trip[-1]} for c in come]
    assert found["products"] == pytest.approx([len(each) / WEEKS for each in bought])
    kinds = [{(token - 1) * 4 // 40 // 2 for token in each} for each in bought]
    assert found["categories"] == pytest.approx([len(each) / WEEKS for each in kinds])


def test_units_by_category_and_week(window):
    expected = np.zeros((3, WEEKS))
    for _, day, *_, basket in rows(window.real):
        for token, quantity in basket.items():
            expected[(token - 1) * 4 // 40 // 2, day // 7 - START] += quantity
    assert np.array_equal(units(window, window.real), expected)


def test_the_forecast_of_units_reads_the_history_alone(window, monkeypatch):
    pytest.importorskip("lightgbm")
    assert UnitsForecast(window).forecast(0) is None  # too short a history
    monkeypatch.setattr("simulator.fidelity.units.FIRST_ORIGIN", 8)
    found = UnitsForecast(window).forecast(0)
    real = units(window, window.real)
    assert found.shape == real.shape
    assert found.sum() == pytest.approx(real.sum(), rel=0.2)  # the chain never changes


def test_repeats_and_switches(window, habits):
    own = defaultdict(set)
    store = {}
    for customer, _, _, where, _, _, basket in rows(window.history):
        own[customer] |= set(basket)
        store[customer] = where
    shares, switches = [], []
    for customer, _, _, where, _, _, basket in rows(window.real):
        shares.append(len(own[customer] & set(basket)) / len(basket))
        switches.append(where != store[customer])
        store[customer] = where
    assert habits.repeat_share(window.real) == pytest.approx(np.mean(shares))
    assert habits.repeat_share(previous_weeks(window)) == 1
    assert habits.switching(window.real) == pytest.approx(np.mean(switches))


def test_retention(window, habits):
    recent = {c for c, day, *_ in rows(window.history) if day // 7 + 1 > START - 4}
    come = {c for c, day, *_ in rows(window.real) if day // 7 + 1 == START + 4}
    assert habits.retention(window.real, 4) == pytest.approx(len(recent & come) / len(recent))
    assert np.isnan(habits.retention(window.real, 9))  # five weeks are judged


def test_lifts(window, habits):
    baskets = [set(basket) for *_, basket in rows(window.real)]
    products, first, second = habits._pairs
    for pair, lift in list(enumerate(habits.lifts(window.real)))[:20]:
        a, b = products[first[pair]], products[second[pair]]
        each = [sum(token in basket for basket in baskets) for token in (a, b)]
        both = sum({a, b} <= basket for basket in baskets)
        expected = each[0] * each[1] / len(baskets)
        assert lift == pytest.approx((both + SMOOTHING) / (expected + SMOOTHING))


def test_copies(window):
    copies = Copies(window)
    assert copies.share(previous_weeks(window)) == 1
    known = {(c, *sorted(basket)) for c, *_, basket in rows(window.history)}
    large = [(c, *sorted(b)) for c, *_, b in rows(window.real) if len(b) >= 3]
    expected = sum(basket in known for basket in large) / len(large)
    assert copies.share(window.real) == pytest.approx(expected)


def test_likeness():
    kind = (1, 1, 1, 1)
    one = trip_set([(0, 1, 9, 0, kind, 1, {1: 1, 2: 1, 3: 1}), (0, 2, 9, 0, kind, 1, {9: 1})])
    other = trip_set([(0, 1, 9, 0, kind, 1, {2: 1, 3: 1, 4: 1}), (0, 2, 9, 0, kind, 1, {9: 2})])
    found = likeness(one, slice(0, 2), other, slice(0, 2))
    assert found.tolist() == [[0.5, 0], [0, 1]]


def test_membership_is_noticed(window):
    """Whoever repeats the trips of training customers, and others of those kept out, tells them."""
    attack, copied = Membership(window), previous_weeks(window)
    training = window.day_week[copied.day] - WEEKS <= window.cache.split["train"][1]
    copied = copied.take(training)
    kept_out = held_out(window.cache)
    assert kept_out[window.population].any()
    strange = [
        (*trip[:-1], {1 + i: 1 for i in range(len(trip[-1]))} if kept_out[trip[0]] else trip[-1])
        for trip in rows(copied)
    ]
    assert attack.auc(trip_set(strange)) == 1
    assert attack.auc(copied) == 0.5
