"""The chain's calendar: weeks, days and holidays, and the days after it ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.cache.totals import over_customers

EPOCH = date(1970, 1, 1)
DAY_COLUMNS = (
    "weekday", "week_of_year", "day_of_year", "holiday", "until_holiday", "since_holiday",
)  # fmt: skip
"""Columns of the cache's table `days` that the model reads."""
FARTHEST_HOLIDAY = 255
"""Days to a holiday are counted up to this number."""


def training_days(cache: TensorCache) -> range:
    """Rows of `days` in the training weeks; a day's index is its row less the first of them."""
    first, last = cache.split["train"]
    week = cache["days.week"]
    rows = np.flatnonzero((week >= first) & (week <= last))
    return range(int(rows[0]), int(rows[-1]) + 1)


@over_customers
def trips_by_week(cache: TensorCache) -> np.ndarray:
    """Trips of each week of a cache, (weeks + 1,) int64; week 0 has none."""
    return np.bincount(cache["trips.week"], minlength=cache.rows("weeks") + 1)


@dataclass(frozen=True)
class Day:
    """Features of one day."""

    week: int
    """Week number, from 1."""
    index: int
    """Days since the first day of the training weeks."""
    features: dict[str, int]
    """The values of `DAY_COLUMNS`."""


class Calendar:
    """Every day of a cache's or checkpoint's calendar, and all days after it.

    After the end of the calendar, weeks of seven days continue and no holiday is known: the next
    one is `FARTHEST_HOLIDAY` days away.

    Args:
        cache: whose tables `days` and `weeks` it reads.
    """

    def __init__(self, cache: TensorCache) -> None:
        # No memory maps, whose numbers take several times as long to look up one by one.
        self._dates, self._weeks = (
            np.asarray(cache[f"days.{name}"], dtype=np.int64) for name in ("date", "week")
        )
        self._columns = {
            name: np.asarray(cache[f"days.{name}"], dtype=np.int64) for name in DAY_COLUMNS
        }
        self._first_index = training_days(cache).start
        self._known: dict[date, Day] = {}  # of the days that were looked up

    def day(self, day: date) -> Day:
        """Look up a day. Raises ValueError for one that lies before the calendar or in a gap."""
        if day not in self._known:
            self._known[day] = self._look_up(day)
        return self._known[day]

    def _look_up(self, day: date) -> Day:
        number = (day - EPOCH).days
        row = int(np.searchsorted(self._dates, number))
        if row == len(self._dates):
            return self._later(day, number)
        if self._dates[row] != number:
            first, last = (EPOCH + timedelta(int(self._dates[i])) for i in (0, -1))
            raise ValueError(f"{day} is not in the chain's calendar, {first} to {last}")
        features = {name: int(values[row]) for name, values in self._columns.items()}
        return Day(int(self._weeks[row]), row - self._first_index, features)

    def date(self, index: int) -> date:
        """The day of an index (`Day.index`), one of the calendar or after it."""
        row = index + self._first_index
        after = max(row - (len(self._dates) - 1), 0)
        return EPOCH + timedelta(int(self._dates[min(row, len(self._dates) - 1)]) + after)

    def columns(self, first: int, stop: int) -> dict[str, np.ndarray]:
        """`DAY_COLUMNS` of the days from one index to before another (`Day.index`), (days,) int64
        each. Raises ValueError for days before the calendar."""
        rows = np.arange(first, stop) + self._first_index
        if (rows < 0).any():
            raise ValueError(f"day {first} lies before the chain's calendar")
        known = rows[rows < len(self._dates)]
        last = int(self._dates[-1])
        later = [
            self._later(EPOCH + timedelta(number), number).features
            for number in range(last + 1, last + 1 + len(rows) - len(known))
        ]
        return {
            name: np.concatenate([values[known], [day[name] for day in later]]).astype(np.int64)
            for name, values in self._columns.items()
        }

    def first_day(self, week: int) -> int:
        """The first day of a week, in days since 1970-01-01."""
        row = int(np.searchsorted(self._weeks, week))
        if row < len(self._weeks):
            return int(self._dates[row])
        return int(self._dates[-1]) + 1 + 7 * (week - int(self._weeks[-1]) - 1)

    def _later(self, day: date, number: int) -> Day:
        after = number - int(self._dates[-1])
        since = min(int(self._columns["since_holiday"][-1]) + after, FARTHEST_HOLIDAY)
        features = {
            "weekday": day.isoweekday() % 7 + 1,
            "week_of_year": day.isocalendar().week,
            "day_of_year": day.timetuple().tm_yday,
            "holiday": 0,
            "until_holiday": FARTHEST_HOLIDAY,
            "since_holiday": since,
        }
        index = len(self._dates) - 1 + after - self._first_index
        return Day(int(self._weeks[-1]) + 1 + (after - 1) // 7, index, features)
