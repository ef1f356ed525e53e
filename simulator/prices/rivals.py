"""Other ways to predict trips after a price change, fitted on the same weeks as our model.

All start from what eight weeks sold for their traffic. Everything is (P, Z, W) like the panel.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simulator.prices.panel import Panel
from simulator.prices.regressors import Evidence, before, log_pence, regressors
from trainer.commands.errors import InputError

FIRST_WEEK = 9
"""The first week that is learned from: the ones before are the eight weeks of its base."""
ITERATIONS = 25
REGRESSION_TRIPS, BOOSTING_TRIPS = 5.0, 1.0
"""Weekly trips of a product in a zone, up to the last week, from which on it is learned from.
Regressions are pulled to the products that they learn from: those of the events."""
TREES = {
    "objective": "poisson", "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 40,
    "feature_fraction": 0.7, "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 5,
    "num_threads": 1, "deterministic": True, "verbose": -1,
}  # fmt: skip
ROUNDS, SEEDS = 300, 2
TINY = 1e-9


def recent(panel: Panel, weeks: int) -> np.ndarray:
    """Trips of the last so many weeks before each, at the traffic of the week."""
    trips, traffic = _sum_before(panel.trips, weeks), _sum_before(panel.traffic, weeks)
    return (trips + 0.3) / (traffic + 50) * panel.traffic


class Regression:
    """Poisson regression: trips = eight weeks x exp(x'b), x in relation to the mean of these weeks.

    own: each product has coefficients, normal about common ones with a covariance estimated from
    all (EM with Laplace's approximation); else one set for all.
    """

    def __init__(self, panel: Panel, last_week: int, with_features: bool, own: bool) -> None:
        values = [log_pence(panel)]
        if with_features:
            values += [panel.display, panel.mailer]
        x = np.stack([v - _sum_before(v, 8) / _counted(panel, 8) for v in values], axis=-1)
        base = recent(panel, 8)
        used = _learned_from(panel, last_week, REGRESSION_TRIPS)
        product, trips, x_used, base_used = used[0], panel.trips[used], x[used], base[used]
        count = len(panel.token) if own else 1
        self.coefficients, self.error = _shrunk(
            product if own else np.zeros_like(product), count, trips, x_used, base_used
        )
        """(P or 1, K) of price, display, mailer, and their standard errors."""
        self.expected = base * np.exp(np.einsum("pzwk,pk->pzw", x, np.broadcast_to(
            self.coefficients, (len(panel.token), x.shape[-1])
        )))  # fmt: skip


def _shrunk(
    product: np.ndarray, products: int, trips: np.ndarray, x: np.ndarray, base: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and standard errors (products, K) of the rows (n,), with x (n, K)."""
    width = x.shape[1]
    found = np.zeros((products, width))
    common, spread = np.zeros(width), np.eye(width)
    for _ in range(ITERATIONS):
        mean = base * np.exp(np.clip((x * found[product]).sum(1), -5, 5))
        gradient = _by_product(product, products, (trips - mean)[:, None] * x)
        squares = x[:, :, None] * x[:, None, :] * mean[:, None, None]
        information = _by_product(product, products, squares)
        precision = np.linalg.inv(spread) if products > 1 else np.zeros((width, width))
        left = np.linalg.inv(information + precision)
        step = gradient - (found - common) @ precision
        found = found + np.clip(np.einsum("pij,pj->pi", left, step), -1, 1)
        if products > 1:
            common = found.mean(0)
            spread = (found - common).T @ (found - common) / products + left.mean(0)
    return found, np.sqrt(np.diagonal(left, axis1=1, axis2=2))


def _by_product(product: np.ndarray, products: int, values: np.ndarray) -> np.ndarray:
    sums = np.zeros((products, *values.shape[1:]))
    np.add.at(sums, product, values)
    return sums


def boosting(panel: Panel, last_week: int, with_prices: bool, with_features: bool) -> np.ndarray:
    """(P, Z, W) expected trips by LightGBM on top of eight weeks x traffic, geometric mean of two
    seeds. Raises InputError where LightGBM is not installed."""
    try:
        import lightgbm
    except ModuleNotFoundError:
        raise InputError(
            "boosting needs LightGBM, which is not installed: python -m pip install lightgbm"
        ) from None
    x = np.stack(list(_columns(panel, last_week, with_prices, with_features)), axis=-1)
    base = np.log(np.maximum(recent(panel, 8), TINY))
    used = _learned_from(panel, last_week, BOOSTING_TRIPS)
    scores = np.zeros(base.size)
    for seed in range(SEEDS):
        data = lightgbm.Dataset(x[used], panel.trips[used], init_score=base[used])
        trees = lightgbm.train({**TREES, "seed": seed}, data, ROUNDS)
        scores += trees.predict(x.reshape(base.size, -1), raw_score=True) / SEEDS
    return np.exp(base + scores.reshape(base.shape))


def _columns(
    panel: Panel, last_week: int, with_prices: bool, with_features: bool
) -> Iterator[np.ndarray]:
    shape = panel.shape
    for weeks in (1, 4, 8, 20):
        yield np.log(np.maximum(recent(panel, weeks), TINY))
    yield np.broadcast_to(np.log(np.maximum(panel.traffic, 1)), shape)
    for group in (panel.department, panel.category):
        yield np.broadcast_to(group[:, None, None], shape)
    if with_prices:
        price = log_pence(panel)
        depth = price - np.max([_shifted(price, back) for back in range(10)], axis=0)
        mean = _sum_before(price, 8) / _counted(panel, 8)
        yield from (price, price - before(price), price - mean, depth, before(depth))
    if with_features:
        for shares in (panel.display, panel.mailer):
            mean = _sum_before(shares, 8) / 8
            yield from (shares, before(shares), mean, shares - mean)
        everything = np.ones(len(panel.token), dtype=bool)
        evidence = Evidence.of(panel, last_week)
        yield regressors(panel, evidence, everything)["mailer of the category"]


def blend(one: np.ndarray, other: np.ndarray, weight: float) -> np.ndarray:
    """Geometric mean of two predictions; weight is the other's."""
    one, other = (np.log(np.maximum(expected, TINY)) for expected in (one, other))
    return np.exp((1 - weight) * one + weight * other)


def _learned_from(
    panel: Panel, last_week: int, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Index of the cells that a rival is fitted on."""
    is_used = np.zeros(panel.shape, dtype=bool)
    is_used[..., FIRST_WEEK - 1 : last_week] = True
    is_used &= panel.trips[..., :last_week].mean(-1, keepdims=True) >= least
    return np.nonzero(is_used)


def _shifted(values: np.ndarray, back: int) -> np.ndarray:
    """Those of so many weeks before; of the first weeks, the first."""
    week = np.maximum(np.arange(values.shape[-1]) - back, 0)
    return values[..., week]


def _sum_before(values: np.ndarray, weeks: int) -> np.ndarray:
    """Sum of the last so many weeks before each; 0 before the first."""
    sums = np.concatenate([np.zeros((*values.shape[:-1], 1)), values.cumsum(-1)], axis=-1)
    week = np.arange(values.shape[-1])
    return sums[..., week] - sums[..., np.maximum(week - weeks, 0)]


def _counted(panel: Panel, weeks: int) -> np.ndarray:
    """(W,) weeks before each of which there are so many at most, and 1 before the first."""
    return np.clip(np.arange(panel.shape[-1]), 1, weeks)
