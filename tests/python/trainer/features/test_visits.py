"""What follows a trip, by hand and against a slow reader."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from toy import toy_cache

from trainer.features.calendar import DAY_COLUMNS, EPOCH, Calendar
from trainer.features.circumstances import Circumstances
from trainer.features.visits import (
    HORIZON,
    NEW_STORE,
    TAIL,
    WHEN,
    RecordedDays,
    days_after,
    visits_after,
)


def calendar(days: int, last: int, first: int = 0, missing=()) -> RecordedDays:
    recorded = ~np.isin(np.arange(days), missing)
    return RecordedDays({"weekday": np.arange(days) % 7 + 1}, first, recorded, last)


def circumstances(day, hour, store) -> Circumstances:
    parts = [np.array(part) for part in (day, hour, store)]
    return Circumstances(*parts, np.zeros((len(day), 4), int))


def days_of(days, visit):
    """(day, gap, stayed, came) of one visit."""
    mine = (days.visit == visit).numpy()
    return [
        tuple(row)
        for row in np.stack(
            [part.numpy()[mine] for part in (days.day, days.gap, days.stayed, days.came)], 1
        ).tolist()
    ]


def test_by_hand():
    """Two customers; days 4 and 5 are of a week without records, and day 8 is the last."""
    trips = circumstances([1, 1, 6, 3, 7], [9, 17, 12, 10, 11], [5, 6, 5, 2, 5])
    found = visits_after(
        np.array([3, 2]), trips, np.array([True, True, True, False, True]),
        calendar(12, last=8, missing=(4, 5)),
    )  # fmt: skip
    assert found.trip.tolist() == [0, 1, 2, 4]
    assert found.next.tolist() == [1, 2, 2, 4]
    assert found.came.tolist() == [True, True, False, False]
    assert found.gap.tolist() == [0, 5, 2, 1]
    assert found.day.tolist() == [1, 6, 8, 8]
    assert days_of(found.days, 0) == [(1, 0, 0, 1)]  # a second trip on the same day
    assert days_of(found.days, 1) == [(1, 0, 1, 0), (2, 1, 1, 0), (3, 2, 1, 0), (6, 5, 0, 1)]
    assert days_of(found.days, 2) == [(6, 0, 1, 0), (7, 1, 1, 0), (8, 2, 1, 0)]  # censored
    own = found.own
    assert own.trips.tolist() == [1, 2, 3, 2]
    assert own.visit.tolist() == [0, 1, 1, 2, 2, 2, 3, 3]
    assert list(zip(own.store_visit.tolist(), own.identity.tolist(), strict=True)) == [
        (0, 5), (1, 5), (1, 6), (2, 5), (2, 6), (3, 2), (3, 5),
    ]  # fmt: skip
    assert own.hour[own.visit == 2].tolist() == [9, 17, 12]
    assert own.kind.shape == (8, 4)
    assert own.gap[own.visit == 2].tolist() == [0, 5, -1]
    assert own.weekday[own.visit == 2].tolist() == [1, 1, 6]
    assert own.store.tolist() == [0, 1, 2, 3, 4, 3, 5, 6]
    # A new store, an old one; where nothing follows, that of the trip itself is not read.
    assert found.store.tolist() == [NEW_STORE, 1, 3, 6]
    when = dict(zip(WHEN, own.when[own.visit == 2].T.tolist(), strict=True))
    np.testing.assert_allclose(when["trips back / 20"], [0.1, 0.05, 0])
    np.testing.assert_allclose(when["log days"], np.log([8, 8, 3]), rtol=1e-6)
    assert when["same weekday"] == [1, 1, 0]  # day 8 is a week after day 1
    assert when["weekend"] == [1, 1, 0]  # day 6 is a Saturday, 1 and 8 are Mondays
    assert when["last store"] == [1, 0, 1]
    assert when["after last store"] == [0, 1, 0]


def test_days_may_begin_before_training():
    """Indices are counted from the first day of training, wherever the calendar begins."""
    late = visits_after(
        np.array([2]), circumstances([1, 4], [9, 9], [1, 1]), np.ones(2, bool), calendar(9, 6)
    )
    early = visits_after(
        np.array([2]), circumstances([-2, 1], [9, 9], [1, 1]), np.ones(2, bool),
        calendar(9, 3, first=-3),
    )  # fmt: skip
    assert early.day.tolist() == late.day.tolist()
    assert early.days.day.tolist() == late.days.day.tolist()
    assert np.array_equal(early.own.when, late.own.when)


def test_the_tail_is_counted_and_not_listed():
    start, until = np.array([0, 0, 0]), np.array([HORIZON, HORIZON + 1, 200])
    recorded = np.ones(300, bool)
    recorded[150:157] = False
    days = days_after(start, until, np.array([True, True, False]), recorded)
    assert np.bincount(days.visit).tolist() == [TAIL, TAIL + 1, TAIL + 1]
    assert days_of(days, 0)[-1] == (HORIZON, HORIZON, 0, 1)
    assert days_of(days, 1)[-1] == (HORIZON, TAIL, 0, 1)  # on the first day of the tail
    assert days_of(days, 2)[-1] == (HORIZON, TAIL, 200 - HORIZON - 7, 0)


def test_days_of_a_calendar_by_index(tmp_path):
    """Those of the cache, and those after its end as one looks them up by date."""
    cache = toy_cache(tmp_path / "cache", customers=3)
    days, first = Calendar(cache), int(cache["days.date"][0])
    found = days.columns(200, 220)
    assert len(cache["days.date"]) == 210
    for number in range(20):
        day = days.day(EPOCH + timedelta(first + 200 + number))
        assert day.index == 200 + number
        assert {name: int(found[name][number]) for name in DAY_COLUMNS} == day.features
    with pytest.raises(ValueError, match="before the chain's calendar"):
        days.columns(-1, 3)
