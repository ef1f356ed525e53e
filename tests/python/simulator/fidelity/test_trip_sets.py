"""Sets of trips, however they come, and the weeks that they are judged on."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import START, WEEKS, columns, rows, trip_set, world

from simulator.fidelity.stand_ins import bootstrap, previous_weeks
from simulator.fidelity.trip_sets import TripSet
from simulator.fidelity.window import Window
from trainer.cache.held_out import training_trips
from trainer.commands.errors import InputError

KIND = (1, 2, 3, 4)
TRIPS = [
    (4, 30, 9, 0, KIND, 500, {7: 1, 3: 2}),
    (1, 31, 18, 2, KIND, 250, {5: 1}),
    (1, 31, 8, 1, KIND, 120, {9: 3, 2: 1, 4: 1}),
    (1, 12, 8, 1, KIND, 90, {2: 1}),
]


def test_trips_in_any_order_are_sorted():
    found = rows(trip_set(TRIPS))
    expected = [TRIPS[3], TRIPS[2], TRIPS[1], TRIPS[0]]
    assert found == [(*trip[:-1], dict(sorted(trip[-1].items()))) for trip in expected]
    assert [list(trip[-1]) for trip in found] == [[2], [2, 4, 9], [5], [3, 7]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": np.array([1, 1, 3, 2])}, "7 items by trip, but 7 tokens and 6"),
        ({"items": np.array([2, 1, 3, 2])}, "8 items by trip, but 7 tokens"),
        ({"items": np.array([3, 0, 3, 1])}, "needs an item"),
        ({"hour": np.array([1])}, "one value a trip"),
        ({"token": np.array([7, 3, 5, 9, 2, 9, 2])}, "product 9 twice in one trip"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    arguments = {
        "customer": [4, 1, 1, 1], "day": [30, 31, 31, 12], "hour": [9, 18, 8, 8],
        "store": [0, 2, 1, 1], "kind": [KIND] * 4, "spend": [500, 250, 120, 90],
        "items": [2, 1, 3, 1], "token": [7, 3, 5, 9, 2, 4, 2], "quantity": [1, 2, 1, 3, 1, 1, 1],
    }  # fmt: skip
    if message.endswith("and 6"):
        change = {"quantity": [1] * 6}
    with pytest.raises(InputError, match=message):
        TripSet.of(**arguments | change)


def test_a_cache_is_read_as_it_is(cache):
    everything = TripSet.read(cache, np.arange(cache.rows("trips")))
    assert rows(trip_set(rows(everything))) == rows(everything)
    assert np.array_equal(everything.spend, cache["trips.spend_pence"])
    assert np.array_equal(everything.token, cache["items.token"])
    assert everything.units.sum() == cache["items.quantity"].sum()
    some = np.sort(np.random.default_rng(0).choice(len(everything), 50, replace=False))
    assert rows(everything.take(some)) == rows(TripSet.read(cache, some))


def test_the_window_cuts_the_cache_in_two(cache, window):
    week, history = cache["trips.week"], window.history
    assert len(history) == (week <= START).sum()
    seen = set(history.customer.tolist())
    expected = [
        row for row in range(len(week))
        if START < week[row] <= START + WEEKS
        and np.searchsorted(cache["customers.trip_offsets"], row, "right") - 1 in seen
    ]  # fmt: skip
    assert rows(window.real) == rows(TripSet.read(cache, np.array(expected)))
    assert window.trips_by_week(window.real).sum() == len(expected)
    assert training_trips(cache).size  # the toy chain trains on some of them


def test_a_missing_week_counts_nowhere(tmp_path):
    found = columns()
    kept = found["trips.week"] != START + 2
    found["trips.week"] = np.where(kept, found["trips.week"], START + 1)
    found["trips.day"] = np.where(kept, found["trips.day"], 7 * START)  # all on one earlier day
    window = Window(world(tmp_path / "cache", found), START, WEEKS)
    assert window.weeks.tolist() == [START + 1, START + 3, START + 4, START + 5]
    for trips in (previous_weeks(window), bootstrap(window, np.random.default_rng(0))):
        assert set(window.day_week[trips.day]) == set(window.weeks)


def test_nothing_after_the_start_enters_a_stand_in(tmp_path):
    found = columns()
    later = found["trips.week"] > START
    items = np.repeat(later, np.diff(found["trips.item_offsets"]))
    changed = found | {
        "trips.spend_pence": np.where(later, 1, found["trips.spend_pence"]),
        "trips.hour": np.where(later, 3, found["trips.hour"]),
        "items.quantity": np.where(items, 9, found["items.quantity"]),
    }
    windows = [
        Window(world(tmp_path / name, each), START, WEEKS)
        for name, each in (("as it was", found), ("changed", changed))
    ]
    assert rows(windows[0].real) != rows(windows[1].real)
    assert rows(previous_weeks(windows[0])) == rows(previous_weeks(windows[1]))
    first, second = (bootstrap(each, np.random.default_rng(4)) for each in windows)
    assert rows(first) == rows(second)


def test_previous_weeks_are_moved_whole(window):
    expected = [
        (customer, day + 7 * WEEKS, *rest)
        for customer, day, *rest in rows(window.history)
        if window.day_week[day] > START - WEEKS
    ]
    assert rows(previous_weeks(window)) == expected


def test_the_bootstrap_draws_own_trips_at_the_own_rate(window):
    own = {
        (c, window.weekday[d], *rest[:-1], str(rest[-1])) for c, d, *rest in rows(window.history)
    }
    draw, runs = np.random.default_rng(0), 200
    trips = np.zeros(len(window.population))
    for run in range(runs):
        found = bootstrap(window, draw)
        trips += window.trips_by_week(found).sum(1)
        if run == 0:
            drawn = {(c, window.weekday[d], *r[:-1], str(r[-1])) for c, d, *r in rows(found)}
            assert drawn <= own
    expected = np.bincount(window.history.customer, minlength=window.customers)
    expected = expected[window.population] * WEEKS / START  # all 23 weeks are drawn from
    assert trips / runs == pytest.approx(expected, abs=1)
    assert (trips / runs).mean() == pytest.approx(expected.mean(), rel=0.02)


@pytest.mark.parametrize(
    ("start", "weeks", "message"),
    [
        (24, 9, "end with week 30"),
        (27, 2, "week 29 mostly copies earlier trips"),
        (40, 2, "end with week 30"),
    ],
)
def test_weeks_that_cannot_be_judged_are_refused(cache, start, weeks, message):
    with pytest.raises(InputError, match=message):
        Window(cache, start, weeks)
