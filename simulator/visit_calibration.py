"""How often customers came in the weeks after a day, given what was known on it.

A model of the next trip that is asked again after each simulated one feeds on what it makes up: it
is a few per cent too sure that customers come back, whoever returns by chance is a regular from
then on, and after nine weeks a fifth too many come. So a simulation asks for what can be learned
from earlier windows of the same length: the chance of coming on a day of a window, given the
customer as of its beginning (`simulator.outlook`) and of the window only what a simulation brings
about itself: days since the last trip, trips so far, time. The model's state stays that of the
beginning; a trip sets the clock of its hazard back. The likelihood of a window is the product over
its days, so what is fitted, by a logistic regression on the model's log-odds and these figures, is
the simulation itself and not its next step.

Every week has a level of its own, normal around that of all: a week in which much of the files is
missing is none that customers stayed away in. Weeks to come have the median of the last ones, and
the season of a year before (`simulator.season`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from simulator.outlook import KNOWN, WINDOW, known
from simulator.season import of_last_year
from trainer.batches.loaders import VisitDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import TensorCache
from trainer.features.recorded import recorded_trips
from trainer.features.visits import HORIZON, TAIL, DaysAfter
from trainer.model.world_model import WorldModel

WINDOWS, APART = 4, 6
"""Windows that are read, and weeks from one to the next; the last one ends with the history."""
LEAST_HISTORY = 9
"""Weeks before a window, at least."""
CUSTOMERS = 4000
"""Of each window, at most."""
RECENT_LEVELS = 13
"""Last weeks whose levels weeks to come may have."""
RIDGE, LEVEL_RIDGE = 10.0, 400.0
"""Precisions of normal priors on weights, with mean 0, and on the levels of weeks."""
STEPS, TOLERANCE = 50, 1e-8
BATCH = 32768
LONG_GAP = 15
"""Days after which the curve in days since the last trip may bend."""
OF_TIME = ("log days since the last", "log trips expected")
"""Of `KNOWN`: what the way through the window depends on."""
OF_RETURN = ("log days since the last",)
"""The same, whether customers have come in the window."""
OF_GAP = ("log days since the last", "log trips expected")
"""The same, days since the last trip."""


@dataclass(frozen=True)
class Days:
    """P looks at a day: does the customer come, or come again?"""

    customer: np.ndarray
    """(P,)"""
    day: np.ndarray
    """(P,) rows of the cache's days."""
    gap: np.ndarray
    """(P,) days since the last trip."""
    trips: np.ndarray
    """(P,) in the window so far."""
    stayed: np.ndarray
    """(P,) how often not."""
    came: np.ndarray
    """(P,) how often."""


class VisitCalibration:
    """Chances of coming in the weeks after a day; the model's own without a window to learn from.

    Args:
        model: whose chances they are.
        cache: the receipts.
        start: the last week that is read.
    """

    def __init__(self, model: WorldModel, cache: TensorCache, start: int) -> None:
        self._season = of_last_year(cache, start)
        self._weights: np.ndarray | None = None
        self._level = 0.0
        ends = [start - APART * number for number in range(WINDOWS)]
        origins = [end - WINDOW // 7 for end in ends if end - WINDOW // 7 >= LEAST_HISTORY]
        windows = [Window(cache, origin) for origin in origins]
        windows = [window for window in windows if len(window.customers)]
        if not windows:
            return
        _ask(model, cache, start, windows)
        parts = [
            (
                window.logit,
                figures(
                    window.logit, window.days.gap, window.days.day - window.first,
                    window.days.trips, window.known[window.days.customer],
                ),
                window.days.stayed,
                window.days.came,
                cache["days.week"][window.days.day],
            )
            for window in windows
        ]  # fmt: skip
        logit, columns, stayed, came, week = map(np.concatenate, zip(*parts, strict=True))
        weeks, place = np.unique(week, return_inverse=True)
        count = columns.shape[1]
        precision = np.concatenate([np.full(count, RIDGE), [0], np.full(len(weeks), LEVEL_RIDGE)])
        levels = np.eye(len(weeks))[place]
        columns = np.hstack([columns, np.ones((len(place), 1)), levels])
        found = fitted(columns, logit, stayed, came, precision)
        self._weights = found[:count]
        self._level = found[count] + float(np.median(found[count + 1 :][-RECENT_LEVELS:]))

    def chances(
        self, p: np.ndarray, gap: np.ndarray, into: np.ndarray, trips: np.ndarray,
        known: np.ndarray, week: int,
    ) -> np.ndarray:  # fmt: skip
        """(n,) chances of coming on a day of a week, of the model's p (n,); the others as for
        `figures`."""
        p = np.clip(p, 1e-9, 1 - 1e-9)
        logit = np.log(p / (1 - p)) + self._season(week)
        if self._weights is not None:
            logit += figures(logit, gap, into, trips, known) @ self._weights + self._level
        return 1 / (1 + np.exp(-logit))


class Window:
    """The customers who had come up to a week, and `WINDOW` days after it.

    Args:
        cache: the receipts.
        origin: the last week before the window.

    Attributes:
        customers: (n,) rows of the cache's.
        first: row of the cache's days with which the window begins.
        last_trip: (n,) rows of their last trips before it.
        days: `Days` of the window in weeks that the files hold.
        logit: (P,) the model's log-odds of coming on them, as `_ask` found.
        known: (n, KNOWN), likewise.
    """

    def __init__(self, cache: TensorCache, origin: int) -> None:
        offsets = cache["customers.trip_offsets"].astype(np.int64)
        week, day_week = cache["trips.week"].astype(np.int64), cache["days.week"].astype(np.int64)
        self._day = cache["trips.day"].astype(np.int64)
        before = np.concatenate([[0], (week <= origin).cumsum()])
        customers = np.flatnonzero(before[offsets[1:]] > before[offsets[:-1]])
        self.customers = customers[:: -(-len(customers) // CUSTOMERS) or 1]
        self.first = int(np.searchsorted(day_week, origin, side="right"))
        self._trips, lengths = recorded_trips(cache, self.customers, origin)
        self._customer = np.repeat(np.arange(len(lengths)), lengths)
        self.last_trip = self._trips[lengths.cumsum() - 1]
        self.last_day = self._day[self.last_trip]
        recorded = np.isin(day_week[self.first : self.first + WINDOW], week)
        after, lengths = recorded_trips(cache, self.customers, origin + WINDOW // 7)
        customer = np.repeat(np.arange(len(lengths)), lengths)
        inside = week[after] > origin
        self.days = days_of_window(
            customer[inside], self._day[after[inside]] - self.first,
            self.last_day - self.first, recorded,
        )  # fmt: skip
        self.days = replace(self.days, day=self.days.day + self.first)
        self.logit = np.full(len(self.days.day), np.nan)
        self.known = np.full((len(self.customers), len(KNOWN)), np.nan)

    def note(self, who: np.ndarray, hazards: np.ndarray) -> None:
        """Of customers (k,), ascending: the chances (k, TAIL + 1) of coming after the last trip."""
        chosen = np.isin(self._customer, who)
        customer = np.searchsorted(who, self._customer[chosen])
        back = self.first - self._day[self._trips[chosen]]
        self.known[who] = known(hazards, customer, back)


def days_of_window(
    customer: np.ndarray, day: np.ndarray, last: np.ndarray, recorded: np.ndarray
) -> Days:
    """The recorded days of a window, of recorded (days,) bool.

    customer, day (E,): trips in the window; last (n,) day of each customer's last trip before it,
    negative. A day on which a customer came is looked at once more after each trip.
    """
    trips = np.zeros((len(last), len(recorded)), np.int64)
    np.add.at(trips, (customer, day), 1)
    days = np.arange(len(recorded))
    until = np.where(trips > 0, days, last.min(initial=0))
    until = np.maximum.accumulate(np.concatenate([last[:, None], until], 1), 1)[:, :-1]
    so_far = trips.cumsum(1) - trips
    who, when = np.nonzero(np.broadcast_to(recorded, trips.shape))
    again, same = np.nonzero(trips)
    more, first = trips[again, same], trips[who, when] > 0
    return Days(
        customer=np.concatenate([who, again]),
        day=np.concatenate([when, same]),
        gap=np.concatenate([when - until[who, when], np.zeros(len(again), np.int64)]),
        trips=np.concatenate([so_far[who, when], so_far[again, same] + 1]),
        stayed=np.concatenate([~first, np.ones(len(again))]).astype(np.float64),
        came=np.concatenate([first, more - 1]).astype(np.float64),
    )


def figures(
    logit: np.ndarray, gap: np.ndarray, into: np.ndarray, trips: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """(P, figures) float64 of days: what is added to the log-odds depends on them, linearly.

    logit (P,) the model's log-odds; gap, into (P,) days since the last trip and since the beginning
    of the window; trips (P,) in the window so far; known (P, KNOWN) as of its beginning.
    """
    since, came = np.log1p(gap), trips > 0
    way, more = np.minimum((into + 0.5) / WINDOW, 1), np.log1p(trips)

    def times(names: Sequence[str], factor: np.ndarray) -> list[np.ndarray]:
        return [known[:, KNOWN.index(name)] * factor for name in names]

    return np.stack(
        [
            logit, gap == 0, since, np.maximum(since - np.log(LONG_GAP), 0), gap >= TAIL,
            way, way**2, came, came * since, more, more * way, *known.T,
            *times(OF_TIME, way), *times(OF_RETURN, came), *times(OF_GAP, since),
        ],
        axis=1,
    )  # fmt: skip


def fitted(
    figures: np.ndarray, logit: np.ndarray, stayed: np.ndarray, came: np.ndarray,
    precision: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Weights (figures,) by Newton's method: logit + figures @ weights are the log-odds of coming,
    for days (P,) on which customers came and stayed so often; precision (figures,) of their normal
    priors."""
    weights = np.zeros(figures.shape[1])
    days = stayed + came
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-(logit + figures @ weights)))
        gradient = figures.T @ (came - days * p) - precision * weights
        curvature = (figures * (days * p * (1 - p))[:, None]).T @ figures
        step = np.linalg.solve(curvature + np.diag(precision + 1e-9), gradient)
        weights += step
        if np.abs(step).max() < TOLERANCE:
            break
    return weights


class _LastTrips(VisitDataLoader):
    """Timelines of which some trips are asked about: rows of the cache's."""

    def __init__(self, dataset: WorldModelDataset, rows: np.ndarray, *, chunk: int) -> None:
        super().__init__(dataset, tokens=BATCH, chunk=chunk)
        self._rows = rows

    def make(self, chosen, epoch, index):
        spans = self.dataset.spans[chosen]
        batch, _ = self._timelines(spans)
        asked = torch.from_numpy(np.isin(batch.trips.row.numpy(), self._rows))
        return replace(batch, visits=self._visits(spans.stop - spans.first, batch.trips, asked))


def _ask(model: WorldModel, cache: TensorCache, start: int, windows: Sequence[Window]) -> None:
    """Let windows know what the model says, from the states as of their beginnings."""
    rows = np.unique(np.concatenate([window.last_trip for window in windows]))
    customers = np.unique(np.concatenate([window.customers for window in windows]))
    dataset = WorldModelDataset.of_weeks(cache, 1, start, customers)
    end = len(cache["days.week"])
    since = np.arange(TAIL + 1)
    model.eval()
    with torch.no_grad():
        for batch in _LastTrips(dataset, rows, chunk=model.config.chunk):
            row = batch.trips.row[batch.visits.trip].numpy()
            order = np.argsort(row)
            visit, day, gap, parts = [], [], [], []
            for window in windows:
                who = np.flatnonzero(np.isin(window.last_trip, row))
                asked = np.zeros(len(window.customers), np.int64)
                asked[who] = order[np.searchsorted(row[order], window.last_trip[who])]
                chosen = np.flatnonzero(np.isin(window.days.customer, who))
                after = np.repeat(window.last_day[who], TAIL + 1), np.tile(since, len(who))
                visit += [asked[window.days.customer[chosen]], np.repeat(asked[who], TAIL + 1)]
                gap += [window.days.gap[chosen], after[1]]
                day += [window.days.day[chosen] - gap[-2], after[0]]  # of the trip before
                parts.append((window, who, chosen))
            gaps = np.minimum(np.concatenate(gap), TAIL)
            days = np.concatenate(day) + np.minimum(gaps, HORIZON)
            days -= 7 * -(np.minimum(end - 1 - days, 0) // 7)  # of the calendar, the same weekday
            none = torch.zeros(len(days))
            looks = DaysAfter(
                *(torch.from_numpy(each) for each in (np.concatenate(visit), days, gaps)),
                stayed=none, came=none.bool(),
            )  # fmt: skip
            visits = replace(batch.visits, days=looks)
            logit = model.hazard_logits(replace(batch, visits=visits)).double().numpy()
            bounds = np.cumsum([len(each) for each in gap])[:-1]
            found = iter(np.split(logit, bounds))
            for window, who, chosen in parts:
                window.logit[chosen] = next(found)
                curve = next(found).reshape(len(who), TAIL + 1)
                window.note(who, 1 / (1 + np.exp(-curve)))
