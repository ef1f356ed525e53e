"""How often customers really come on days of a given chance, in the last weeks of the history.

A simulation feeds on its own trips: where a model is a few per cent too sure that customers come
back, a tenth too many of them have come after nine weeks. So the log-odds of coming are mapped by a
logistic regression (Platt, Probabilistic outputs for support vector machines, 1999) on the log-odds
themselves, the days since the last trip, and how the customer came before. Every week has a level
of its own, of which the median is kept: a week in which much of the files is missing is none that
customers stayed away in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from trainer.batches.loaders import VisitDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import TensorCache
from trainer.features.trip_log import TripLog
from trainer.features.visits import WHEN
from trainer.model.world_model import WorldModel

WEEKS = 13
"""The last ones, at most, of those that the model was not trained on."""
RIDGE = 50.0
"""Days of evidence against any change."""
STEPS, TOLERANCE = 50, 1e-8
BATCH = 32768
LONG_GAP = 15
"""Days after which the curve in days since the last trip may bend."""
RECENT = (28, 91)
"""Days before the last trip in which trips are counted."""
PAST = (
    "log trips", "1 / trips", "log days since the first",
    *(f"log trips in {days} days" for days in RECENT), "log days before the last", "first",
)  # fmt: skip
"""What is known of how a customer came before."""


class VisitCalibration:
    """Maps chances of coming; changes nothing where no week is left to learn from.

    Args:
        model: whose chances they are.
        cache: the receipts.
        start: the last week that is read.
    """

    def __init__(self, model: WorldModel, cache: TensorCache, start: int) -> None:
        self._weights: np.ndarray | None = None
        first = max(cache.split["train"][1] + 1, start - WEEKS + 1)
        if first > start:
            return
        dataset = WorldModelDataset.of_weeks(cache, first, start)
        parts = []
        model.eval()
        with torch.no_grad():
            for batch in VisitDataLoader(dataset, tokens=BATCH, chunk=model.config.chunk):
                days, own = batch.visits.days, batch.visits.own
                logit = model.hazard_logits(batch).double().numpy()
                since = np.rint(own.when[:, WHEN.index("days / 60")].numpy() * 60)
                past = _past(own.visit.numpy(), since, len(batch.visits))
                gap, visit = days.gap.numpy(), days.visit.numpy()
                numbers = (days.day.numpy(), days.stayed.numpy(), days.came.numpy())
                parts.append((logit, _figures(logit, gap, past[visit]), *numbers))
        logit, figures, day, stayed, came = map(np.concatenate, zip(*parts, strict=True))
        _, week = np.unique(cache["days.week"][day], return_inverse=True)
        levels = np.eye(week.max() + 1)[week]
        found = _fitted(np.hstack([figures, levels]), logit, stayed, came)
        count = figures.shape[1]
        self._weights = np.append(found[:count], np.median(found[count:]))

    def apply(self, p: np.ndarray, logs: Sequence[TripLog]) -> np.ndarray:
        """Chances p (n, days) of coming on the day of the last trip of customers (n,), the day
        after, and so on: mapped."""
        if self._weights is None:
            return p
        lengths = np.array([len(log.trips) for log in logs])
        day = np.concatenate([log.trips["day"] for log in logs]).astype(np.int64)
        customer = np.repeat(np.arange(len(logs)), lengths)
        past = _past(customer, day[lengths.cumsum() - 1][customer] - day, len(logs))
        p = np.clip(p, 1e-9, 1 - 1e-9)
        logit = np.log(p / (1 - p))
        gap = np.broadcast_to(np.arange(p.shape[1]), p.shape)
        figures = _figures(logit, gap, np.broadcast_to(past[:, None], (*p.shape, past.shape[1])))
        mapped = logit + figures @ self._weights[:-1] + self._weights[-1]
        return 1 / (1 + np.exp(-mapped))


def _past(customer: np.ndarray, since: np.ndarray, customers: int) -> np.ndarray:
    """(customers, PAST) of trips (E,) in the order of customers, then of time; since (E,): days
    from each to the same later day, another one for each customer."""
    trips = np.bincount(customer, minlength=customers)
    last = trips.cumsum() - 1
    back = since - since[last][customer]
    first = trips == 1
    before = np.where(first, 0, back[np.maximum(last - 1, 0)])
    return np.stack(
        [
            np.log(trips), 1 / trips, np.log1p(back[last - trips + 1]),
            *(np.log1p(np.bincount(customer, back <= days, customers)) for days in RECENT),
            np.log1p(before), first,
        ],
        axis=1,
    )  # fmt: skip


def _figures(logit: np.ndarray, gap: np.ndarray, past: np.ndarray) -> np.ndarray:
    """(..., figures) of days with log-odds and gaps (...), after pasts (..., PAST): what is added
    to the log-odds depends on them, linearly."""
    since = np.log1p(gap)
    recent = [past[..., PAST.index(f"log trips in {days} days")] for days in RECENT]
    return np.stack(
        [
            logit, gap == 0, since, np.maximum(since - np.log(LONG_GAP), 0),
            *(since * trips for trips in recent), *np.moveaxis(past, -1, 0),
        ],
        axis=-1,
    )  # fmt: skip


def _fitted(
    figures: np.ndarray, logit: np.ndarray, stayed: np.ndarray, came: np.ndarray
) -> np.ndarray:
    """Weights (figures,) by Newton's method: logit + figures @ weights are the log-odds of coming,
    for days (n,) on which customers came or stayed, so many of the latter in one row."""
    weights = np.zeros(figures.shape[1])
    days = stayed + came
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-(logit + figures @ weights)))
        gradient = figures.T @ (came - days * p) - RIDGE * weights
        curvature = (figures * (days * p * (1 - p))[:, None]).T @ figures
        step = np.linalg.solve(curvature + RIDGE * np.eye(len(weights)), gradient)
        weights += step
        if np.abs(step).max() < TOLERANCE:
            break
    return weights
