"""Off-policy values: closed forms, what they are robust to, and how often intervals hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulator.environments.coupons import Menu
from simulator.environments.opening import Opening
from simulator.policy.coupon_trial import TARGETS, Trial, nobody, not_bought
from simulator.policy.off_policy import (
    Log,
    cross_fitted,
    doubly_robust,
    inverse_propensity,
    self_normalised,
)
from trainer.commands.errors import InputError

FOUR = Log(
    features=np.zeros((4, 1)), action=np.array([0, 1, 1, 0]),
    propensity=np.array([0.5, 0.5, 0.25, 0.8]), reward=np.array([1.0, 2.0, 4.0, 8.0]),
    unit=np.arange(4),
)  # fmt: skip
SECOND = np.tile([0.0, 1.0], (4, 1))


def simulated(seed: int, n: int = 400) -> tuple[Log, np.ndarray, float]:
    """Two actions whose gain depends on a feature, drawn with chances that do as well; a target
    that takes the second where the feature is above 0, and its true value, 1/2 + E max(x, 0)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    chance = 1 / (1 + np.exp(-x))
    action = (rng.random(n) < chance).astype(int)
    reward = 0.5 + x * action + rng.normal(size=n)
    propensity = np.where(action == 1, chance, 1 - chance)
    target = np.column_stack([x <= 0, x > 0]).astype(float)
    log = Log(np.column_stack([x, x > 0]), action, propensity, reward, np.arange(n))
    return log, target, 0.5 + 1 / np.sqrt(2 * np.pi)


def test_inverse_propensity_by_hand():
    """w = 0, 2, 4, 0: (2 x 2 + 4 x 4) / 4."""
    assert inverse_propensity(FOUR, SECOND).mean == pytest.approx(5.0)


def test_self_normalised_by_hand():
    """(2 x 2 + 4 x 4) / (2 + 4)."""
    assert self_normalised(FOUR, SECOND).mean == pytest.approx(20 / 6)


def test_a_policy_valued_on_its_own_log_is_the_mean():
    target = np.eye(2)[FOUR.action]
    log = replace(FOUR, propensity=np.ones(4))

    for estimator in (inverse_propensity, self_normalised):
        assert estimator(log, target).mean == pytest.approx(FOUR.reward.mean())


def test_doubly_robust_is_the_model_where_it_is_right():
    """Rewards without noise that are linear in the feature: weights, however wild, add nothing."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=4000)
    log = Log(x[:, None], rng.integers(0, 2, 4000), rng.uniform(0.01, 1, 4000), 3 + 2 * x,
              np.arange(4000))  # fmt: skip
    found = doubly_robust(log, np.tile([0.3, 0.7], (4000, 1)))

    assert found.mean == pytest.approx((3 + 2 * x).mean(), abs=0.02)


def test_it_is_linear_in_the_target():
    log, target, _ = simulated(2)
    other = np.tile([1.0, 0.0], (len(target), 1))

    for estimator in (inverse_propensity, doubly_robust):
        apart = estimator(log, target).mean - estimator(log, other).mean
        assert estimator(log, target - other).mean == pytest.approx(apart)


def test_estimates_are_right_on_average_and_doubly_robust_ones_closest():
    found = {f: [] for f in (inverse_propensity, self_normalised, doubly_robust)}
    for seed in range(60):
        log, target, truth = simulated(seed)
        for estimator, values in found.items():
            values.append(estimator(log, target).mean - truth)
    spread = {f: np.std(values) for f, values in found.items()}

    for estimator, values in found.items():
        assert abs(np.mean(values)) < 3 * spread[estimator] / np.sqrt(60), estimator.__name__
    assert spread[doubly_robust] < 0.95 * spread[inverse_propensity]


def test_nine_of_ten_intervals_hold_the_truth():
    held = {f: 0 for f in (inverse_propensity, self_normalised, doubly_robust)}
    for seed in range(150):
        log, target, truth = simulated(seed)
        for estimator in held:
            found = estimator(log, target)
            held[estimator] += found.low <= truth <= found.high

    for estimator, count in held.items():
        assert count >= 0.9 * 150, estimator.__name__


def test_decisions_of_one_unit_widen_the_interval():
    """Each decision four times over is no new evidence."""
    log, target, _ = simulated(3)
    four = np.repeat(np.arange(len(target)), 4)
    copies = Log(log.features[four], log.action[four], log.propensity[four], log.reward[four], four)
    once, again = inverse_propensity(log, target), inverse_propensity(copies, target[four])

    assert again.high - again.low == pytest.approx(once.high - once.low)


def test_a_model_never_sees_the_decision_it_is_asked_of():
    log, target, _ = simulated(4, 60)
    changed = replace(log, reward=np.where(np.arange(60) == 7, 1e6, log.reward))

    assert np.array_equal(cross_fitted(log, 2)[7], cross_fitted(changed, 2)[7])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"propensity": np.array([0.5, 0, 0.5, 1])}, "propensities"),
        ({"reward": np.zeros(3)}, "as many"),
        ({"reward": np.array([1, np.nan, 1, 1])}, "rewards must be numbers"),
    ],
)
def test_a_log_that_is_none_is_refused(change, says):
    with pytest.raises(InputError, match=says):
        replace(FOUR, **change)


def test_a_trial_logs_what_was_drawn_and_what_it_earned():
    opening = Opening(customers=60, products=70, stores=5, warm_up=6, weeks=4)
    trial = Trial(opening, Menu.of(opening, size=3, depth=0.3))
    log = trial.log(5)
    chosen = {name: trial.probabilities(target) for name, target in TARGETS.items()}

    assert np.array_equal(trial.log(5).reward, log.reward)
    assert set(np.unique(log.action)) == {0, 1, 2, 3}
    assert np.allclose(log.propensity, np.where(log.action == 0, 0.5, 0.5 / 3))
    assert all(np.array_equal(p.sum(1), np.ones(60)) for p in chosen.values())
    # With the same draws, who got nothing earns what a life without any coupons brings.
    everyone = replace(log, action=np.zeros(60, np.int64))
    assert trial.earned(nobody, 5) != trial.earned(not_bought, 5)
    assert everyone.reward.mean() != trial.earned(nobody, 5)
