"""Units sold by category and week: simulated ones, and a forecast by gradient boosting.

Shape letters: G categories (and one for what has none of the level), W weeks, H judged weeks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.fidelity.trip_sets import TripSet
from simulator.fidelity.window import Window

LAGS = 4
"""Last weeks that the forecast reads one by one."""
MEANS = (4, 13, 26, 52)
"""Weeks over which it reads means."""
SCALE_WEEKS = 13
"""Units are over the category's mean of so many weeks, so that all categories share trees."""
FIRST_ORIGIN = 26
"""Weeks with trips before the first start that the forecast learns from."""
PARAMETERS: dict[str, Any] = {
    "objective": "regression_l1", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 100,
    "feature_fraction": 0.7, "num_threads": 1, "deterministic": True, "force_row_wise": True,
    "verbose": -1,
}  # fmt: skip
ROUNDS = 300


def units(window: Window, trips: TripSet) -> np.ndarray:
    """(G, H) int64 units of each category in each judged week."""
    weeks = len(window.weeks)
    cell = window.category[trips.token] * weeks + window.horizon(trips)[trips.trip]
    size = (len(window.categories) + 1) * weeks
    return np.bincount(cell, trips.quantity, size).reshape(-1, weeks).astype(np.int64)


class UnitsForecast:
    """LightGBM (Ke et al., 2017) on each category's units of the weeks before a start.

    It learns from every earlier start, and each judged week that follows it within the history, of
    the customers who had come by then: as the judged weeks count only those with a history.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._weeks = window.recent(len(window.recorded))
        history = window.history
        week = np.searchsorted(self._weeks, window.day_week[history.day])
        first = np.full(window.customers, len(self._weeks))
        np.minimum.at(first, history.customer, week)
        self._cell = window.category[history.token] * len(self._weeks) + week[history.trip]
        self._since = first[history.customer][history.trip]
        self._quantity = history.quantity
        self._size = (len(window.categories) + 1) * len(self._weeks)

    def forecast(self, seed: int) -> np.ndarray | None:
        """(G, H) float64 units; None where the history is too short. seed: of LightGBM."""
        import lightgbm

        known, last = len(self._weeks), self._window.weeks
        ahead = last - self._window.start
        features, target, weight = [], [], []
        for end in range(FIRST_ORIGIN, known):
            number = self._weeks[end - 1] + ahead
            number = number[np.isin(number, self._weeks)]
            units = self._units(end)
            found, scale = self._features(units[:, :end], self._weeks[:end], number)
            came = units[:, np.searchsorted(self._weeks, number)]
            features.append(found)
            target.append((came / scale[:, None]).ravel())
            weight.append(np.repeat(scale, len(number)))
        if not sum(map(len, target)):
            return None
        data = lightgbm.Dataset(
            np.concatenate(features), np.concatenate(target), weight=np.concatenate(weight)
        )
        booster = lightgbm.train(PARAMETERS | {"seed": seed}, data, ROUNDS)
        found, scale = self._features(self._units(known), self._weeks, last)
        share = np.maximum(booster.predict(found, num_threads=1), 0)
        return share.reshape(len(scale), -1) * scale[:, None]

    def _units(self, end: int) -> np.ndarray:
        """(G, W) of the customers who came before a week."""
        chosen = self._since < end
        return np.bincount(
            self._cell[chosen], self._quantity[chosen], self._size
        ).reshape(-1, len(self._weeks))  # fmt: skip

    def _features(
        self, units: np.ndarray, weeks: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Features (G x n, columns) of units (G, W) of weeks, for n weeks to forecast, and the
        scale (G,)."""
        scale = np.maximum(units[:, -SCALE_WEEKS:].mean(1), 1)
        shares, total = units / scale[:, None], units.sum(0)
        columns = [
            *(shares[:, -lag] for lag in range(1, LAGS + 1)),
            *(shares[:, -span:].mean(1) for span in MEANS),
            np.log(scale),
            np.broadcast_to(total[-1] / total[-SCALE_WEEKS:].mean(), len(scale)),
        ]
        of_year = self._of_year(target)
        rows = []
        for number, season in zip(target, of_year, strict=True):
            last_year = np.abs(weeks - (number - 52)) <= 1  # three weeks: one may be missing
            past = shares[:, last_year].mean(1) if last_year.any() else np.full(len(scale), np.nan)
            rows.append(
                np.stack(
                    [
                        *columns,
                        past,
                        *(np.full(len(scale), v) for v in season),
                        np.full(len(scale), number - weeks[-1]),
                    ],
                    1,
                )
            )
        stacked = np.stack(rows, 1)
        return stacked.reshape(-1, stacked.shape[2]), scale

    def _of_year(self, weeks: np.ndarray) -> np.ndarray:
        """(n, 2): week of the year and holidays of weeks."""
        cache, window = self._window.cache, self._window
        first = np.searchsorted(window.day_week, weeks)
        holidays = np.bincount(window.day_week, cache["days.holiday"] > 0)
        return np.stack([cache["days.week_of_year"][first], holidays[weeks]], 1)
