"""What a policy would have earned, from logs of another one whose chances are known.

A log has n decisions: what was known (features), which of K actions was drawn with which
probability p, and the reward r. A target policy gives each action a probability pi(a | x); with
w = pi(a | x) / p and a model q(x, a) of rewards,

    inverse propensity   mean of w r                          (Horvitz and Thompson, 1952)
    self-normalised      sum of w r over sum of w             (Swaminathan and Joachims, 2015)
    doubly robust        mean of sum_a pi q + w (r - q(x, a)) (Robins, Rotnitzky and Zhao, 1994;
                                                               Dudik, Langford and Li, 2011)

The last one is right if either p or q is; q is fitted on other decisions than those it is used for
(cross-fitting: Chernozhukov and others, Double machine learning, 2018), so that its errors are
independent of theirs. All but the second are linear in pi: the difference of two policies is the
value of the difference of their probabilities, with an interval of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from trainer.commands.errors import InputError

FOLDS = 5
RIDGE = 1.0
"""Penalty on coefficients of standardised features."""


@dataclass(frozen=True)
class Log:
    """n decisions with F features each, independent of each other but for those of one unit."""

    features: np.ndarray
    """(n, F)"""
    action: np.ndarray
    """(n,) from 0."""
    propensity: np.ndarray
    """(n,) probability with which the action was drawn, above 0."""
    reward: np.ndarray
    """(n,)"""
    unit: np.ndarray
    """(n,) whose decisions are alike, such as a customer's."""

    def __post_init__(self) -> None:
        """Raises InputError for arrays of different lengths and for chances that are none."""
        sizes = {len(x) for x in (self.features, self.action, self.propensity, self.reward)}
        if len(sizes | {len(self.unit)}) > 1 or not len(self.action):
            raise InputError("a log needs as many features, actions, propensities and rewards")
        if not ((self.propensity > 0) & (self.propensity <= 1)).all():
            raise InputError("propensities are above 0 and at most 1: without chance, no evidence")
        if not np.isfinite(self.reward).all():
            raise InputError("rewards must be numbers")


@dataclass(frozen=True)
class Estimate:
    """A value per decision and its 95 % interval (mean, low, high)."""

    mean: float
    low: float
    high: float


def inverse_propensity(log: Log, target: np.ndarray) -> Estimate:
    """target: (n, K) probabilities of the target policy, or the difference of two policies'."""
    return _estimate(_weights(log, target) * log.reward, log.unit)


def self_normalised(log: Log, target: np.ndarray) -> Estimate:
    """As `inverse_propensity`; a target of a single policy. Less noise, a little bias. Raises
    InputError for a log without any decision that the target policy would take."""
    weight = _weights(log, target)
    if weight.sum() <= 0:
        raise InputError("the log has no decision that the target policy would take")
    mean = float((weight * log.reward).sum() / weight.sum())
    # The interval is that of the ratio's linearisation (the delta method).
    found = _estimate(weight * (log.reward - mean) / weight.mean(), log.unit)
    return Estimate(mean, mean + found.low - found.mean, mean + found.high - found.mean)


def doubly_robust(log: Log, target: np.ndarray, seed: int = 0) -> Estimate:
    """As `inverse_propensity`, with a ridge regression of rewards for each action as q."""
    q = cross_fitted(log, target.shape[1], seed)
    own = q[np.arange(len(q)), log.action]
    return _estimate((target * q).sum(1) + _weights(log, target) * (log.reward - own), log.unit)


def cross_fitted(log: Log, actions: int, seed: int = 0) -> np.ndarray:
    """(n, K) rewards expected of each action, each from folds without the decision's unit."""
    units, row = np.unique(log.unit, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(units))[row] % FOLDS
    found = np.zeros((len(log.action), actions))
    for each in range(FOLDS):
        inside, outside = fold == each, fold != each
        x, y, a = log.features[outside], log.reward[outside], log.action[outside]
        centre, scale = x.mean(0), np.maximum(x.std(0), 1e-9)
        common = _ridge((x - centre) / scale, y)
        new = np.column_stack([np.ones(inside.sum()), (log.features[inside] - centre) / scale])
        old = np.column_stack([np.ones(len(x)), (x - centre) / scale])
        rest = y - old @ common
        for action in range(actions):
            chosen = a == action
            # What an action adds to what all have in common, shrunk: few decisions show each.
            more = rest[chosen].sum() / (chosen.sum() + 1 / RIDGE)
            found[inside, action] = new @ common + more
    return found


def _ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(F + 1,) intercept and coefficients."""
    x = np.column_stack([np.ones(len(x)), x])
    penalty = RIDGE * np.eye(x.shape[1])
    penalty[0, 0] = 0
    return np.linalg.solve(x.T @ x + penalty, x.T @ y)


def _weights(log: Log, target: np.ndarray) -> np.ndarray:
    if target.ndim != 2 or len(target) != len(log.action) or log.action.max() >= target.shape[1]:
        raise InputError("target must have a probability for each decision and action of the log")
    return target[np.arange(len(target)), log.action] / log.propensity


def _estimate(values: np.ndarray, unit: np.ndarray) -> Estimate:
    """The mean with a normal interval that knows which decisions are alike."""
    mean = float(values.mean())
    _, row = np.unique(unit, return_inverse=True)
    sums = np.bincount(row, values - mean)
    half = NormalDist().inv_cdf(0.975) * float(np.sqrt((sums**2).sum())) / len(values)
    return Estimate(mean, mean - half, mean + half)
