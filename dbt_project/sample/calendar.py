"""LGSR's weeks: Monday to Sunday, numbered within a retail year of 52 weeks."""

from __future__ import annotations

import datetime as dt

import numpy as np

FIRST_MONDAY = dt.date(2006, 4, 10)
FIRST_WEEK_OF_YEAR = 7
WEEKS_A_YEAR = 52
# Easter Sundays of the years a chain of 520 weeks can reach.
EASTER = tuple(
    dt.date(*d)
    for d in (
        (2006, 4, 16), (2007, 4, 8), (2008, 3, 23), (2009, 4, 12), (2010, 4, 4), (2011, 4, 24),
        (2012, 4, 8), (2013, 3, 31), (2014, 4, 20), (2015, 4, 5), (2016, 3, 27),
    )
)  # fmt: skip


def monday(week: int) -> dt.date:
    """First day of week `week` (1-based)."""
    return FIRST_MONDAY + dt.timedelta(weeks=week - 1)


def shop_week(week: int) -> int:
    """LGSR's number of week `week`: 1 is 200607, 46 is 200652, 47 is 200701."""
    year, within = divmod(week - 1 + FIRST_WEEK_OF_YEAR - 1, WEEKS_A_YEAR)
    return (2006 + year) * 100 + within + 1


def yyyymmdd(day: dt.date) -> int:
    """A date as the integer the files hold."""
    return day.year * 10_000 + day.month * 100 + day.day


def time_rows(weeks: int) -> list[tuple[int, int, int]]:
    """Rows of time.csv: week number, first and last day."""
    return [
        (shop_week(w), yyyymmdd(monday(w)), yyyymmdd(monday(w) + dt.timedelta(days=6)))
        for w in range(1, weeks + 1)
    ]


def days(week: int) -> np.ndarray:
    """The seven dates of a week as integers, Monday first, shape (7,)."""
    return np.array([yyyymmdd(monday(week) + dt.timedelta(days=d)) for d in range(7)])


# SHOP_WEEKDAY counts from 1, Sunday; the days above start on Monday.
WEEKDAY = np.array([2, 3, 4, 5, 6, 7, 1])


def holidays(week: int) -> dict[str, float]:
    """Strength in 0..1 of each holiday season in a week: Christmas, Easter, summer."""
    first = monday(week)
    last = first + dt.timedelta(days=6)
    to_christmas = (dt.date(last.year, 12, 25) - last).days
    christmas = float(np.clip(1 - to_christmas / 28, 0, 1)) if -6 <= to_christmas <= 28 else 0.0
    weeks_to_easter = min((max((e - last).days, 0) for e in EASTER if e >= first), default=99) / 7
    easter = max(1 - weeks_to_easter / 2, 0.0)
    middle = (first - dt.date(first.year, 7, 15)).days
    summer = float(np.exp(-((middle / 35) ** 2)))
    return {"christmas": christmas, "easter": easter, "summer": summer}


def traffic(week: int) -> float:
    """Trips relative to an ordinary week: fewer around Christmas and New Year."""
    first = monday(week)
    last = first + dt.timedelta(days=6)
    if first <= dt.date(first.year, 12, 25) <= last:
        return 0.69
    return 0.88 if first <= dt.date(last.year, 1, 1) <= last else 1.0
