"""What demand answers to: prices and features of a panel's products, as regressors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.prices.panel import Panel

OWN = ("price", "display", "mailer")
"""Regressors whose coefficient differs by product."""
POOLED = ("display x volume", "mailer of the category", "display before", "mailer before")
"""Regressors with one coefficient."""
TYPICAL_TRIPS = 5.0
"""Weekly trips of a zone with a product of volume 0."""
LARGEST_MOVE = 1.5
"""Of a log price from its mean: what lies beyond is an error of the receipts."""

MIN_MOVE, MIN_MOVES, MIN_DEVIATION, MIN_MOVED = 0.05, 4, 0.03, 0.01
"""A price can tell an elasticity if it moved by 5 % or more in four weeks of a zone, its logarithm
has a standard deviation of .03, and one trip in 100 met a price that had moved at its store."""


@dataclass(frozen=True)
class Evidence:
    """What the weeks up to `last_week` show of each product, (P,) each but where stated."""

    last_week: int
    log_pence: np.ndarray
    """(P, Z) mean logarithm of the observed prices."""
    weekly_trips: np.ndarray
    """(P, Z) mean trips of a week."""
    moves: np.ndarray
    """Weeks of zones whose price moved by 5 % or more."""
    deviation: np.ndarray
    """Standard deviation of the log price from the zone's mean, weighed by trips."""
    is_identified: np.ndarray
    """bool: whether its price moved enough."""

    @property
    def volume(self) -> np.ndarray:
        """(P,) logarithm of the weekly trips of a zone, in relation to `TYPICAL_TRIPS`."""
        return np.log((self.weekly_trips.mean(1) + 0.05) / TYPICAL_TRIPS)

    @classmethod
    def of(cls, panel: Panel, last_week: int) -> Evidence:
        """Reads no week after last_week."""
        seen = panel.is_observed[..., :last_week]
        trips = panel.trips[..., :last_week]
        logs = log_pence(panel)[..., :last_week]
        mean = (logs * seen).sum(-1) / np.maximum(seen.sum(-1), 1)
        mean = np.where(seen.any(-1), mean, logs[..., -1])
        spread = (trips * (logs - mean[..., None]) ** 2).sum((1, 2))
        deviation = np.sqrt(spread / np.maximum(trips.sum((1, 2)), 1))
        moves = (np.abs(panel.change()[..., :last_week]) >= MIN_MOVE).sum((1, 2))
        is_identified = (moves >= MIN_MOVES) & (deviation >= MIN_DEVIATION)
        is_identified &= panel.moved >= MIN_MOVED
        return cls(last_week, mean, trips.mean(-1), moves, deviation, is_identified)


def log_pence(panel: Panel) -> np.ndarray:
    """(P, Z, W) logarithm of the prices; what is given away costs a penny."""
    return np.log(np.maximum(panel.pence, 1))


def regressors(panel: Panel, evidence: Evidence, moving: np.ndarray) -> dict[str, np.ndarray]:
    """(P, Z, W) each, by name: `OWN`, then `POOLED`.

    moving: (P,) bool, products whose price counts; that of others is taken not to matter.
    """
    price = log_pence(panel) - evidence.log_pence[..., None]
    price = np.clip(price, -LARGEST_MOVE, LARGEST_MOVE) * moving[:, None, None]
    display, mailer = panel.display, panel.mailer
    others = _mean_of_others(mailer, panel.category, evidence.weekly_trips[..., None])
    volume = evidence.volume[:, None, None]
    values = (price, display, mailer, display * volume, others, before(display), before(mailer))
    return dict(zip((*OWN, *POOLED), values, strict=True))


def before(values: np.ndarray) -> np.ndarray:
    """(..., W) those of the week before; in the first week its own."""
    return np.concatenate([values[..., :1], values[..., :-1]], axis=-1)


def _mean_of_others(values: np.ndarray, group: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(P, Z, W) mean over the other products of the same group, weighed; 0 where there is none."""
    sums = np.zeros((group.max() + 1, *values.shape[1:]))
    weights = np.zeros((group.max() + 1, *weight.shape[1:]))
    np.add.at(sums, group, weight * values)
    np.add.at(weights, group, weight)
    rest = weights[group] - weight
    return np.where(rest > 1e-9, (sums[group] - weight * values) / np.maximum(rest, 1e-9), 0)
