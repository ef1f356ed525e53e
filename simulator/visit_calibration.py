"""How often customers really come on days of a given chance, in the last weeks of the history.

Chances of a model are a little too sure, and customers change. A simulation feeds on its own trips:
a few per cent too many of them become a fifth more after nine weeks. So the log-odds of coming are
mapped by a logistic regression (Platt, Probabilistic outputs for support vector machines, 1999) on
the log-odds themselves, the days since the last trip, and how many trips the customer has made.
Every week has a level of its own, of which the median is kept: a week in which much of the files is
missing is none that customers stayed away in.
"""

from __future__ import annotations

import numpy as np
import torch

from trainer.batches.loaders import VisitDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import TensorCache
from trainer.model.world_model import WorldModel

WEEKS = 13
"""The last ones, at most, of those that the model was not trained on."""
RIDGE = 50.0
"""Days of evidence against any change."""
STEPS, TOLERANCE = 50, 1e-8
BATCH = 32768
FIGURES = 5


class VisitCalibration:
    """Maps chances of coming; changes nothing where no week is left to learn from.

    Args:
        model: whose chances they are.
        cache: the receipts.
        start: the last week that is read.
    """

    def __init__(self, model: WorldModel, cache: TensorCache, start: int) -> None:
        self.weights = np.zeros(FIGURES)
        first = max(cache.split["train"][1] + 1, start - WEEKS + 1)
        if first > start:
            return
        dataset = WorldModelDataset.of_weeks(cache, first, start)
        parts = []
        model.eval()
        with torch.no_grad():
            for batch in VisitDataLoader(dataset, tokens=BATCH, chunk=model.config.chunk):
                days, own = batch.visits.days, batch.visits.own
                logit = model.hazard_logits(batch).double()
                parts.append(
                    (logit, days.day, days.gap, own.trips[days.visit], days.stayed, days.came)
                )
        logit, day, gap, trips, stayed, came = (
            np.concatenate([part.numpy() for part in column]) for column in zip(*parts, strict=True)
        )
        _, week = np.unique(cache["days.week"][day], return_inverse=True)
        figures = _figures(logit, gap, trips)
        levels = np.eye(week.max() + 1)[week]
        found = _fitted(np.hstack([figures[:, 1:], levels]), logit, stayed, came)
        self.weights = np.append(np.median(found[FIGURES - 1 :]), found[: FIGURES - 1])

    def apply(self, p: np.ndarray, gap: np.ndarray, trips: np.ndarray) -> np.ndarray:
        """Chances p (n, days) of coming after gaps (days,) of days, of customers with so many
        trips (n,)."""
        p = np.clip(p, 1e-9, 1 - 1e-9)
        logit = np.log(p / (1 - p))
        mapped = logit + _figures(logit, *np.broadcast_arrays(gap, trips[:, None])) @ self.weights
        return 1 / (1 + np.exp(-mapped))


def _figures(logit: np.ndarray, gap: np.ndarray, trips: np.ndarray) -> np.ndarray:
    """(..., FIGURES): what is added to the log-odds depends on them, linearly."""
    return np.stack(
        [np.ones_like(logit), logit, gap == 0, np.log1p(gap), np.log(trips)], axis=-1
    ).astype(np.float64)


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
