"""The next visit by counting: what the model's predictions of visits have to beat.

- day: the chain's hazard by days since the last trip and weekday, times three ratios of the
  customer's own: of visits to those expected in all, on that weekday, and after such a gap. Both
  sides decay with days and are shrunk to 1. A second trip on the same day has a hazard of its own,
  by hour, times a ratio of the customer's own.
- store, hour, kind: a mixture of shares of earlier trips, decayed at several rates, all of them or
  only those on such a weekday, in that store and so on, and of the chain's shares. The weights of
  the mixture differ with the number of earlier trips (Jelinek and Mercer, Interpolated estimation
  of Markov source parameters from sparse data, 1980).

Shares of the chain are those of training weeks. Rates, shrinkage and weights of the mixtures are
fitted to the validation weeks of the chain at hand, for any weeks that are measured.

Shape letters: V visits, E pairs of a visit and an earlier trip.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from trainer.cache.held_out import training_trips
from trainer.cache.ragged import ranges
from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.cache.split import split_weeks
from trainer.features.purchases import HISTORY_TRIPS
from trainer.features.visits import TAIL, RecordedDays

PARTS = ("day", "store", "hour", "kind")
HOURS = 24
WEEKDAYS = 7
EM_STEPS = 100
UNSEEN = 1e-5
"""Share of an hour or kind that training never saw."""
TRIPS_SO_FAR = (3, 8, 20, 60, 150)
"""Mixtures differ between customers with fewer earlier trips than these."""
LONG_GAP = 35
"""Days after which hazards are smoothed over a week."""
GAPS = (1, 2, 3, 4, 5, 6, 7, 8, 14, 15, 21, 22, 28, 29)
"""First days of the gaps that have a ratio of their own."""
RATES: dict[str, tuple[float, ...]] = {
    "rate days": (250, 60, 120, 500), "rate shrinkage": (0.5, 0.25, 1, 2),
    "weekday days": (120, 60, 365), "weekday shrinkage": (8, 4, 16, 32),
    "gap days": (700, 180, 2000), "gap shrinkage": (2, 1, 4, 8),
}  # fmt: skip
"""Settings of the hazard that are tried, one after the other, the first ones to start with."""


class VisitCounts:
    """Counts of a chain's visits.

    Args:
        cache: whose training weeks are counted, and whose validation weeks choose the rates.
    """

    def __init__(self, cache: TensorCache) -> None:
        self._cache = cache
        read = {name: cache[f"trips.{name}"].astype(np.int64) for name in ("week", "day", "hour")}
        self._week, self._day, self._hour = read.values()
        self._store = cache["trips.store"].astype(np.int64)
        trips = np.diff(cache["customers.trip_offsets"].astype(np.int64))
        self._first = np.repeat(trips.cumsum() - trips, trips)
        self._customer = np.repeat(np.arange(len(trips)), trips)
        kinds = np.stack([cache[f"trips.{name}"].astype(np.int64) for name in CONTEXT], axis=1)
        self._columns = kinds
        self._complete = (kinds > 0).all(1)
        self._kind = np.unique(kinds, axis=0, return_inverse=True)[1].reshape(-1)
        self._weekday = cache["days.weekday"].astype(np.int64)[self._day]
        self._weekend = np.isin(self._weekday, (1, 7))
        self._format = cache["stores.format"].astype(np.int64)[self._store]
        self._training = training_trips(cache)
        same = self._customer[1:] == self._customer[:-1]
        self._gap = np.where(np.append(same, False), np.append(np.diff(self._day), 0), -1)
        self._is_new = np.ones(len(self._day), dtype=bool)
        _, visited = np.unique(self._customer * (1 + self._store.max()) + self._store, True)
        self._is_new[np.setdiff1d(np.arange(len(self._day)), visited)] = False
        self._fitted: dict[str, dict[int, np.ndarray]] = {}
        self.rates: dict[str, float] = {}
        """The settings of `RATES` that were chosen."""
        self._fit()

    def nats(self, rows: np.ndarray, last_week: int) -> np.ndarray:
        """Minus the log-likelihood of what follows trips, (V, 4) float64, `PARTS`.

        rows (V,) rows of the cache's trips, ascending, with every trip of their customers up to
        `last_week` that follows one of them. Where no trip follows up to then, the day is censored
        and the rest NaN, and so are kinds of which a column is not known.
        """
        nats = np.full((len(rows), len(PARTS)), np.nan)
        nats[:, 0] = self._days(rows, last_week, self.rates) + self._same_day(rows, last_week)
        came = self._came(rows, last_week)
        for column, (name, part) in enumerate(self._mixtures(rows[came]).items(), start=1):
            chances, group, defined = part
            values = np.full(len(chances), np.nan)
            for each, weights in self._fitted[name].items():
                chosen = defined & (group == each)
                values[chosen] = -np.log(np.maximum(chances[chosen] @ weights, 1e-12))
            nats[came, column] = values
        return nats

    def _fit(self) -> None:
        first, last = split_weeks(self._cache, "validation")
        rows = np.flatnonzero((self._week >= first) & (self._week <= last))
        self._chain_hazard = self._hazards()
        self.rates = {name: values[0] for name, values in RATES.items()}
        best = self._days(rows, last, self.rates).sum()
        for name, values in RATES.items():
            for value in values[1:]:
                tried = self.rates | {name: value}
                if (nats := self._days(rows, last, tried).sum()) < best:
                    best, self.rates = nats, tried
        for name, part in self._mixtures(rows[self._came(rows, last)]).items():
            chances, group, defined = part
            everywhere = mixture_weights(chances[defined])
            self._fitted[name] = dict.fromkeys(range(2 * len(TRIPS_SO_FAR) + 2), everywhere)
            for each in np.unique(group[defined]).tolist():
                self._fitted[name][each] = mixture_weights(chances[defined & (group == each)])

    def _came(self, rows: np.ndarray, last_week: int) -> np.ndarray:
        """(V,) bool: another trip of the customer follows up to the week."""
        following = np.minimum(rows + 1, len(self._week) - 1)
        return (self._gap[rows] >= 0) & (self._week[following] <= last_week)

    # Days: one after the other, all customers at once.

    def _hazards(self) -> np.ndarray:
        """(TAIL + 1, 7): the chain's, by days since the last trip and weekday."""
        days = RecordedDays.of(self._cache, self._cache.split["train"][1])
        customers = np.unique(self._customer[self._training])
        came, asked = (np.zeros((TAIL + 1, WEEKDAYS)) for _ in range(2))

        def count(_: int, weekday: int, gap: np.ndarray, seen: np.ndarray, comes: np.ndarray):
            for counts, chosen in ((asked, seen), (came, seen & comes)):
                gaps = gap[customers[chosen[customers]]]
                counts[:, weekday] += np.bincount(gaps, minlength=TAIL + 1)

        self._each_day(days, count)
        # Long gaps are rare: theirs is the hazard of the days around them.
        gap = np.arange(TAIL + 1)
        is_long = (gap > LONG_GAP) & (gap < TAIL)
        times, days_asked = (
            np.where(is_long, np.convolve(counts.sum(1), np.ones(7), "same"), counts.sum(1))
            for counts in (came, asked)
        )
        of_gap = times / np.maximum(days_asked, 1)
        of_weekday = came.sum(0) / np.maximum(asked.sum(0), 1)
        of_weekday = of_weekday * asked.sum() / max(came.sum(), 1)
        return (came + 50 * of_gap[:, None] * of_weekday) / (asked + 50)

    def _each_day(self, days: RecordedDays, visit: Callable[..., None]) -> None:
        """Call `visit(day, weekday, gap, seen, comes)` for every recorded day: days since the last
        trip before it (customers,), at most `TAIL`, whether there is one, and whether each comes.
        """
        customers = len(self._cache["customers.trip_offsets"]) - 1
        came, row = self._calendar_of_trips()
        last = np.full(customers, -1)
        for day in range(days.last - days.first + 1):
            comes = np.zeros(customers, dtype=bool)
            comes[came[row[day] : row[day + 1]]] = True
            if days.recorded[day]:
                gap = np.minimum(day - last, TAIL)
                visit(day, int(days.calendar["weekday"][day]) - 1, gap, last >= 0, comes)
            last = np.where(comes, day, last)

    def _calendar_of_trips(self) -> tuple[np.ndarray, np.ndarray]:
        """Customers by the day of their trips, (trips,), and where each day begins."""
        order = np.argsort(self._day, kind="stable")
        days = self._cache.rows("days")
        return self._customer[order], np.searchsorted(self._day[order], np.arange(days + 1))

    def _days(self, rows: np.ndarray, last_week: int, rates: Mapping[str, float]) -> np.ndarray:
        """(V,) nats of the days after that of a trip; 0 for all but the last trip of a day."""
        days = RecordedDays.of(self._cache, last_week)
        customers = len(self._cache["customers.trip_offsets"]) - 1
        everyone = np.arange(customers)
        place = np.full(len(self._day), -1)
        place[rows] = np.arange(len(rows))
        nats, visit = np.zeros(len(rows)), np.full(customers, -1)
        by_row, starts = np.argsort(self._day, kind="stable"), self._calendar_of_trips()[1]
        of_gap = np.searchsorted(GAPS, np.arange(TAIL + 1), side="right")
        names = ("rate", "weekday", "gap")
        decay = {name: np.exp(-1 / rates[f"{name} days"]) for name in names}
        sums = {
            "rate": np.zeros((2, customers, 1)),
            "weekday": np.zeros((2, customers, WEEKDAYS)),
            "gap": np.zeros((2, customers, len(GAPS) + 1)),
        }
        hazard = self._chain_hazard

        def step(day: int, weekday: int, gap: np.ndarray, seen: np.ndarray, comes: np.ndarray):
            base = np.where(seen, hazard[gap, weekday], 0)
            cells = {"rate": 0, "weekday": weekday, "gap": of_gap[gap]}
            expected, ratios = [], base
            for name, cell in cells.items():
                came, asked = sums[name][:, everyone, cell]
                expected.append(np.minimum(ratios, 1))
                shrinkage = rates[f"{name} shrinkage"]
                ratios = ratios * (came + shrinkage) / (asked + shrinkage)
            p = np.clip(ratios / (1 - base + ratios), 1e-6, 0.995)
            asked = seen & (visit >= 0)
            np.add.at(nats, visit[asked], -np.log(np.where(comes, p, 1 - p)[asked]))
            for (name, cell), value in zip(cells.items(), expected, strict=True):
                sums[name] *= decay[name]
                sums[name][0, everyone, cell] += seen & comes
                sums[name][1, everyone, cell] += value
            now = by_row[starts[day] : starts[day + 1]]
            visit[self._customer[now]] = place[now]  # ascending, so the last trip of the day stays

        self._each_day(days, step)
        return nats

    def _same_day(self, rows: np.ndarray, last_week: int) -> np.ndarray:
        """(V,) nats of a second trip on the same day, or none."""
        again, training = self._gap == 0, self._training
        count, asked = (
            np.bincount(self._hour[training], values, HOURS)
            for values in (again[training], np.ones(len(training)))
        )
        hazard = (count + 5 * again[training].mean()) / (asked + 5)
        visit, earlier, back = self._pairs(rows, rows)
        weight = 0.995**back
        came, expected = (
            np.bincount(visit, weight * values[earlier], len(rows))
            for values in (again, hazard[self._hour])
        )
        base = hazard[self._hour[rows]]
        ratio = base * (came + 1) / (expected + 1)
        p = np.clip(ratio / (1 - base + ratio), 1e-6, 0.99)
        return -np.log(np.where(again[rows] & self._came(rows, last_week), p, 1 - p))

    # Store, hour, kind: shares of earlier trips.

    def _pairs(self, rows: np.ndarray, until: np.ndarray) -> tuple[np.ndarray, ...]:
        """Each visit with the trips before row `until` of the same customer: visit, trip, how many
        trips before `rows`; (E,) each."""
        first = np.maximum(self._first[rows], until - HISTORY_TRIPS)
        visit = np.repeat(np.arange(len(rows)), until - first)
        trip = ranges(first, until - first)
        return visit, trip, rows[visit] - trip

    def _mixtures(self, rows: np.ndarray) -> dict[str, tuple[np.ndarray, ...]]:
        """By part: probabilities (V, counts) of what the trip after each of `rows` was, its group
        (V,), and whether it is defined (V,)."""
        now = rows + 1
        visit, trip, back = self._pairs(rows, now)
        decay = {rate: rate**back for rate in (0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 0.995)}

        def same(values: np.ndarray) -> np.ndarray:
            return values[trip] == values[now][visit]

        def share(weight: np.ndarray, match: np.ndarray) -> np.ndarray:
            total = np.bincount(visit, weight, len(rows))
            part = np.bincount(visit, weight * match, len(rows))
            return np.divide(part, total, out=np.zeros(len(rows)), where=total > 0)

        group = np.digitize(now - self._first[rows], TRIPS_SO_FAR)
        everything = np.ones(len(rows), dtype=bool)
        weekend, weekday, store = same(self._weekend), same(self._weekday), same(self._store)
        is_new = np.bincount(visit, store, len(rows)) == 0
        # Where the customer went after earlier trips to the store of the last one.
        follows = self._store[np.minimum(trip + 1, len(self._store) - 1)] == self._store[now][visit]
        moved = (trip < rows[visit]) & (self._store[trip] == self._store[rows][visit])
        p_new = share(decay[0.95], self._is_new[trip])
        stores = [share(decay[rate], store) for rate in (0.3, 0.6, 0.8, 0.95, 0.995)]
        stores += [
            share(decay[0.95] * weekend, store), share(decay[0.98] * weekday, store),
            share(decay[0.95] * moved, follows), is_new.astype(float),
            np.where(is_new, p_new, (1 - p_new) * stores[3]),
        ]  # fmt: skip

        again = self._gap[rows] == 0
        earliest = np.where(again, self._hour[rows], 0)
        near = np.exp(-0.5 * np.subtract.outer(np.arange(HOURS), np.arange(HOURS)) ** 2)
        near /= near.sum(1, keepdims=True)
        own = [
            np.bincount(visit * HOURS + self._hour[trip], weight, len(rows) * HOURS)
            for weight in (
                decay[0.98] * weekend, decay[0.98] * weekday, decay[0.8], decay[0.995],
                decay[0.98] * store,
            )
        ]  # fmt: skip
        own = [counts.reshape(-1, HOURS) for counts in own]
        on_days = self._of_chain(self._weekday, self._hour, HOURS)[self._weekday[now]]
        places = self._format * 2 + self._weekend
        in_stores = self._of_chain(places, self._hour, HOURS)[places[now]]
        after = self._of_chain(self._hour, np.append(self._hour[1:], 0), HOURS, self._gap == 0)
        tables = [
            on_days, in_stores, np.where(again[:, None], after[self._hour[rows]], on_days),
            *own, *(counts @ near for counts in own),
        ]  # fmt: skip
        hours = []
        for table in tables:
            table = np.where(np.arange(HOURS) >= earliest[:, None], table, 0)
            total = table.sum(1)
            chosen = table[np.arange(len(rows)), self._hour[now]]
            hours.append(np.divide(chosen, total, out=np.zeros(len(rows)), where=total > 0))

        time = np.digitize(self._hour, (11, 14, 17, 20))
        before = np.where(self._first == np.arange(len(self._first)), 30, np.roll(self._gap, 1))
        gap = np.digitize(before, (1, 2, 3, 4, 6, 8, 12, 20))
        kind, complete = same(self._kind), self._complete[trip]
        kinds = [
            self._of_chain(key, self._kind, self._kind.max() + 1, self._complete)[
                key[now], self._kind[now]
            ]
            for key in (
                self._format, (self._format * 5 + time) * 2 + self._weekend, gap * 5 + time,
            )
        ]  # fmt: skip
        then, gaps = same(time), same(gap)
        kinds += [
            share(weight * complete, kind)
            for weight in (
                decay[0.6], decay[0.9], decay[0.98], decay[0.995], decay[0.98] * store,
                decay[0.98] * then, decay[0.98] * weekend, decay[0.98] * gaps,
                decay[0.98] * store * then,
            )
        ]  # fmt: skip
        for weight in (decay[0.9], decay[0.98], decay[0.98] * store):
            product, total = np.ones(len(rows)), np.bincount(visit, weight * complete, len(rows))
            for column in self._columns.T:
                of_chain = np.bincount(column[self._training]) / len(self._training)
                of_chain = np.append(of_chain, np.zeros(column.max() + 1 - len(of_chain)))
                matches = np.bincount(visit, weight * complete * same(column), len(rows))
                product *= (matches + 2 * of_chain[column[now]]) / (total + 2)
            kinds.append(product)
        by_time = group * 2 + again
        return {
            "store": (np.stack(stores, 1), group, everything),
            "hour": (np.stack(hours, 1), by_time, everything),
            "kind": (np.stack(kinds, 1), group, self._complete[now]),
        }

    def _of_chain(
        self, key: np.ndarray, value: np.ndarray, size: int, chosen: np.ndarray | None = None
    ) -> np.ndarray:
        """(keys, size) shares of values among training trips with each key, of the chosen ones;
        key, value and chosen (trips,)."""
        rows = self._training if chosen is None else self._training[chosen[self._training]]
        cells = np.bincount(key[rows] * size + value[rows], minlength=(key.max() + 1) * size)
        counts = cells.reshape(-1, size).astype(np.float64)
        counts += 20 * counts.sum(0) / max(len(rows), 1)
        # What training never saw may come all the same.
        return 0.999 * counts / np.maximum(counts.sum(1, keepdims=True), 1e-9) + UNSEEN


def mixture_weights(chances: np.ndarray) -> np.ndarray:
    """Weights (counts,) of the mixture under which probabilities (V, counts) are likeliest, by
    expectation and maximisation; all equal where V is 0."""
    weights = np.full(chances.shape[1], 1 / chances.shape[1])
    if not len(chances):
        return weights
    chances = np.maximum(chances, 1e-12)
    for _ in range(EM_STEPS):
        parts = chances * weights
        weights = (parts / parts.sum(1, keepdims=True)).mean(0)
    return weights
