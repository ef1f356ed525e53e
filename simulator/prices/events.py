"""Price changes of weeks that a model has not seen, and how well it predicted what was sold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.prices.panel import MOVE, Panel
from simulator.prices.regressors import before

MIN_WEEKLY_TRIPS = 5.0
"""Mean trips a week up to the start with the product in the zone."""
FEATURE_CHANGE = 0.05
"""Change of the share of trips with display or mailer from which on a feature has changed."""
LEAST = 1e-3
"""Trips that are predicted at least: a prediction of none has no deviance."""
RESAMPLES = 1000
LEVEL = 0.9
"""Of the intervals."""
INTERVALS = ("wmape", "deviance", "sign")


@dataclass(frozen=True)
class Events:
    """A product in a zone and week of which the price moved by `MOVE` or more against the week
    before, observed in both; (n,) each."""

    cell: tuple[np.ndarray, np.ndarray, np.ndarray]
    """Product, zone and week - 1: index of arrays (P, Z, W)."""
    trips: np.ndarray
    """Trips with the product."""
    trips_before: np.ndarray
    """Those of the week before."""
    is_cut: np.ndarray
    """bool: whether the price fell."""
    is_price_alone: np.ndarray
    """bool: whether display and mailer stayed as they were."""

    @property
    def products(self) -> int:
        """How many different ones."""
        return len(np.unique(self.cell[0]))


def events_of(panel: Panel, start: int, end: int | None = None) -> Events:
    """Price changes of the weeks after start, up to end (the last one if left out), of products
    with enough trips in the weeks up to start."""
    change = panel.change()
    is_event = np.abs(change) >= MOVE
    is_event &= panel.trips[..., :start].mean(-1, keepdims=True) >= MIN_WEEKLY_TRIPS
    is_event[..., :start] = False
    is_event[..., panel.shape[-1] if end is None else end :] = False
    features = np.maximum(
        *(np.abs(shares - before(shares)) for shares in (panel.display, panel.mailer))
    )
    cell = np.nonzero(is_event)
    return Events(
        cell, panel.trips[cell], before(panel.trips)[cell], change[cell] < 0,
        features[cell] < FEATURE_CHANGE,
    )  # fmt: skip


def scores(events: Events, expected: np.ndarray, seed: int = 0) -> dict[str, float | list[float]]:
    """How well trips were predicted.

    expected: (P, Z, W). Returns

    - wmape: sum of absolute errors by sum of trips, also `price_alone` of events with the same
      display and mailer as before;
    - deviance: mean Poisson deviance of an event;
    - sign: share of events whose change against the week before has the predicted sign, without
      those of no change;
    - slope: of the least-squares line of observed on predicted change;
    - cuts, rises: predicted by observed trips, less 1;
    - intervals of `INTERVALS`, 90 %, by drawing products with replacement.
    """
    mean = np.maximum(expected[events.cell], LEAST)
    trips, cut, alone = events.trips, events.is_cut, events.is_price_alone
    error, deviance = np.abs(trips - mean), poisson_deviance(trips, mean)
    predicted, observed = mean - events.trips_before, trips - events.trips_before
    has_sign = observed != 0
    is_right = has_sign & (np.sign(predicted) == np.sign(observed))
    ones = np.ones(len(trips))
    ratios = {"wmape": (error, trips), "deviance": (deviance, ones), "sign": (is_right, has_sign)}
    found = {name: above.sum() / below.sum() for name, (above, below) in ratios.items()}
    return {
        **found,
        "slope": np.cov(predicted, observed)[0, 1] / predicted.var(ddof=1),
        "cuts": mean[cut].sum() / trips[cut].sum() - 1,
        "rises": mean[~cut].sum() / trips[~cut].sum() - 1,
        "price_alone": error[alone].sum() / trips[alone].sum(),
        **{
            f"{name}_interval": _interval(events.cell[0], *ratios[name], seed)
            for name in INTERVALS
        },
    }  # fmt: skip


def noise_floor(
    events: Events, expected: np.ndarray, draws: int = 50, seed: int = 0
) -> dict[str, float]:
    """wmape and deviance of the true means if these were those expected and trips Poisson."""
    mean = np.maximum(expected[events.cell], LEAST)
    trips = np.random.default_rng(seed).poisson(mean, (draws, len(mean))).astype(float)
    return {
        "wmape": np.abs(trips - mean).sum() / trips.sum(),
        "deviance": poisson_deviance(trips, mean).mean(),
    }


def poisson_deviance(trips: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Twice the log-likelihood lost against a prediction of what came, element by element."""
    logs = trips * np.log(np.maximum(trips, LEAST) / mean)
    return 2 * (logs - trips + mean)


def _interval(product: np.ndarray, above: np.ndarray, below: np.ndarray, seed: int) -> list[float]:
    """Interval of a ratio of sums over events, with products drawn with replacement."""
    _, product = np.unique(product, return_inverse=True)
    sums = np.stack([np.bincount(product, values) for values in (above, below)], axis=1)
    draws = np.random.default_rng(seed).multinomial(
        len(sums), np.full(len(sums), 1 / len(sums)), RESAMPLES
    )
    above, below = (draws @ sums).T
    ratios = above[below > 0] / below[below > 0]
    return np.quantile(ratios, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
