"""What is measured in the place of a simulation: copies of the past, which it has to beat, and,
where the truth is known, the same weeks drawn again, which it cannot beat."""

from __future__ import annotations

import numpy as np

from simulator.fidelity.trip_sets import TripSet
from simulator.fidelity.window import Window

PREVIOUS, BOOTSTRAP, REDRAWN = STAND_INS = ("previous weeks", "bootstrap", "drawn again")
BOOTSTRAP_WEEKS = 26
"""Weeks with trips, the last of the history, that are drawn from."""


def previous_weeks(window: Window) -> TripSet:
    """Each customer's trips of as many weeks before as are judged, on the same days of the week.

    A week that is missing from the files is missing from the copy too.
    """
    history, shift = window.history, int(window.weeks[-1]) - window.start
    trips = np.flatnonzero(window.day_week[history.day] > window.start - shift)
    week = window.day_week[history.day[trips]] + shift
    return window.restrict(history.take(trips, _moved(window, trips, week)))


def bootstrap(window: Window, draw: np.random.Generator) -> TripSet:
    """Trips drawn from each customer's own of the last weeks, with replacement.

    Each trip of `BOOTSTRAP_WEEKS` weeks occurs a Poisson number of times, in weeks of their own, on
    its day of the week; a customer comes as often as in those weeks on average.
    """
    source = window.recent(BOOTSTRAP_WEEKS)
    known = np.flatnonzero(np.isin(window.day_week[window.history.day], source))
    times = draw.poisson(len(window.weeks) / len(source), len(known))
    trips = np.repeat(known, times)
    week = draw.choice(window.weeks, len(trips))
    return window.history.take(trips, _moved(window, trips, week))


def _moved(window: Window, trips: np.ndarray, week: np.ndarray) -> np.ndarray:
    """(n,) rows of days: trips of the history moved to other weeks, on the same day of the week."""
    day = window.history.day[trips]
    into_week = day - np.searchsorted(window.day_week, window.day_week[day])
    first, end = (np.searchsorted(window.day_week, week, side) for side in ("left", "right"))
    return np.minimum(first + into_week, end - 1)
