"""The weeks that are judged, the customers whom they are judged on, and all that came before.

Shape letters: C customers of the cache, P those with a history, T trips, I items, H weeks.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from simulator.fidelity.trip_sets import TripSet
from trainer.cache.reader import TensorCache
from trainer.cache.schema import LEVELS
from trainer.commands.errors import InputError
from trainer.features.categories import category_of_token

LEVEL = 1
"""Level of the categories whose units are forecast and counted: `category_2`."""


class Window:
    """A cache cut in two: what a simulation may have read, and the weeks that it is judged on.

    A week without a single trip is missing from the files. It is not judged, and trips that were
    simulated in it count nowhere.

    Args:
        cache: real receipts, up to the weeks that are judged or longer.
        start: the last week of the history.
        weeks: how many weeks after it are judged, those missing included.

    Attributes:
        history: `TripSet` of all trips up to the start.
        real: `TripSet` of the judged weeks, of customers with a history.
        population: (P,) rows of the customers with a history.
        weeks: (H,) numbers of the judged weeks, ascending.

    Raises InputError where there is nothing to judge, or where judged weeks are copies.
    """

    def __init__(self, cache: TensorCache, start: int, weeks: int = 9) -> None:
        self.cache, self.start = cache, start
        calendar = cache["days.week"].astype(np.int64)
        last, final = start + weeks, int(cache["trips.week"].max())
        self.day_week = calendar
        self.weekday = cache["days.weekday"].astype(np.int64)
        self.date = cache["days.date"].astype(np.int64)
        week = cache["trips.week"].astype(np.int64)
        if not (week <= start).any():
            raise InputError(f"start {start}: {cache.folder} has no trips up to that week")
        if last > final:
            raise InputError(
                f"start {start}, {weeks} weeks: the trips of {cache.folder} end with week {final}"
            )
        self.recorded = np.unique(week)
        self.weeks = self.recorded[(self.recorded > start) & (self.recorded <= last)]
        if copies := [int(w) for w in self.weeks if cache["weeks.is_replayed"][w - 1]]:
            raise InputError(
                f"start {start}, {weeks} weeks: week {copies[0]} mostly copies earlier trips: "
                "judge weeks that do not"
            )
        self.history = TripSet.read(cache, np.flatnonzero(week <= start))
        self.population = np.unique(self.history.customer)
        self.real = self.restrict(
            TripSet.read(cache, np.flatnonzero((week > start) & (week <= last)))
        )
        if not len(self.real):
            raise InputError(
                f"start {start}, {weeks} weeks: no customer of {cache.folder} who came before "
                "comes in them"
            )

    @cached_property
    def customers(self) -> int:
        """Of the cache, with a history or without."""
        return self.cache.rows("customers")

    @cached_property
    def place(self) -> np.ndarray:
        """(C,) int64: the place of each customer in the population, -1 without a history."""
        place = np.full(self.customers, -1)
        place[self.population] = np.arange(len(self.population))
        return place

    @cached_property
    def categories(self) -> np.ndarray:
        """(G,) rows of the cache's categories whose units are counted."""
        return np.flatnonzero(self.cache["categories.level"] == LEVEL)

    @cached_property
    def category(self) -> np.ndarray:
        """(tokens,) int64: the category of each token as a place in `categories`; G for those that
        stand for a larger one."""
        rows = self.ancestors(LEVEL)[category_of_token(self.cache)]
        place = np.full(self.cache.rows("categories") + 1, len(self.categories))
        place[self.categories] = np.arange(len(self.categories))
        return place[rows]

    def ancestors(self, level: int) -> np.ndarray:
        """(categories + 1,) int64: the category of a level above each one, or itself where it lies
        higher; the last, for tokens that are no product, is its own."""
        levels = self.cache["categories.level"].astype(np.int64)
        parent = self.cache["categories.parent"].astype(np.int64)
        found = np.arange(len(levels))
        for _ in LEVELS:
            found = np.where(levels[found] < level, parent[found], found)
        return np.append(found, len(levels))

    def horizon(self, trips: TripSet) -> np.ndarray:
        """(T,) int64: 0 for trips in the first of the judged weeks, and so on."""
        return np.searchsorted(self.weeks, self.day_week[trips.day])

    def check(self, trips: TripSet) -> None:
        """Raise InputError where trips have a row that the cache does not have."""
        cache, vocabulary = self.cache, self.cache.vocabulary
        special = np.isin(trips.token, (vocabulary.mask, vocabulary.eos))
        for name, values, low, rows in (
            ("customer", trips.customer, 0, self.customers),
            ("day", trips.day, 0, len(self.day_week)),
            ("hour", trips.hour, 0, 24),
            ("store", trips.store, 0, cache.rows("stores") + 1),
            ("token", np.where(special, 0, trips.token), 1, vocabulary.input_size),
        ):
            if len(values) and not low <= values.min() <= values.max() < rows:
                raise InputError(
                    f"trips: {name} {values.min()} to {values.max()}, but {cache.folder} has "
                    f"{low} to {rows - 1}"
                )

    def restrict(self, trips: TripSet) -> TripSet:
        """The trips of customers with a history in judged weeks."""
        judged = np.isin(self.day_week[trips.day], self.weeks)
        return trips.take(judged & (self.place[trips.customer] >= 0))

    def trips_by_week(self, trips: TripSet) -> np.ndarray:
        """(P, H) int64: trips of each customer in each judged week."""
        cell = self.place[trips.customer] * len(self.weeks) + self.horizon(trips)
        size = len(self.population) * len(self.weeks)
        return np.bincount(cell, minlength=size).reshape(-1, len(self.weeks))

    def recent(self, weeks: int, before: int = 0) -> np.ndarray:
        """The last weeks of the history that have trips, ascending, (up to `weeks`,).

        before: how many such weeks to leave out at the end.
        """
        known = self.recorded[self.recorded <= self.start]
        known = known[: len(known) - before]
        return known[max(len(known) - weeks, 0) :]
