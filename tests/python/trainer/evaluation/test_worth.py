"""What a model is ahead of another: known answers, and what makes the interval wide."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.evaluation.worth import TripSums, worth

CUSTOMERS = 300


def models(gain, of_seed, of_customer, seeds=3, draw=0):
    """Pairs of models; the second is behind by the gain, and what seed and customer add to it."""
    random = np.random.default_rng(draw)
    trips = random.integers(1, 6, (CUSTOMERS, 2)).astype(float)
    base = random.random((CUSTOMERS, 2)) * trips
    customer = of_customer * random.standard_normal((CUSTOMERS, 1))
    pairs = []
    for _ in range(seeds):
        seed = of_seed * random.standard_normal()
        pairs.append((TripSums(base + (gain + seed + customer) * trips, trips), base))
    ahead, behind = zip(*((a, TripSums(b, trips)) for a, b in pairs), strict=True)
    return ahead, behind


def width(estimate):
    return estimate.high - estimate.low


def test_by_hand():
    trips = np.array([[2.0, 1.0], [2.0, 0.0]])
    ahead = [TripSums(np.array([[1.0, 0.5], [1.0, 0.0]]), trips)]
    behind = [TripSums(np.array([[0.5, 0.25], [0.5, 0.0]]), trips)]
    assert ahead[0].means().tolist() == [0.5, 0.5, 0.5]
    first, second, mean = worth(ahead, behind)
    # Both customers gain .25 a trip, whoever is drawn; the second has no trip of the second task.
    assert (first.value, first.low, first.high, first.trips) == (0.25, 0.25, 0.25, 4)
    assert (second.value, second.low, second.high, second.trips) == (0.25, 0.25, 0.25, 1)
    assert (mean.value, mean.trips) == (0.25, 5)


def test_a_constant_gain_is_certain():
    for estimate in worth(*models(0.01, 0, 0)):
        assert [estimate.value, estimate.low, estimate.high] == pytest.approx([0.01] * 3)


def test_seeds_that_differ_widen_the_interval_as_student_says():
    ahead, behind = models(0.01, 0.002, 0)
    of_seeds = [a.means() - b.means() for a, b in zip(ahead, behind, strict=True)]
    estimate = worth(ahead, behind)[-1]
    deviation = np.std([each[-1] for each in of_seeds], ddof=1)
    # 4.303 is the .975 quantile of t with 2 degrees of freedom.
    assert width(estimate) == pytest.approx(2 * 4.303 * deviation / 3**0.5, rel=0.05)
    one = worth(ahead[:1], behind[:1])[-1]
    assert width(one) < 1e-9  # nothing is known of other seeds


def test_customers_that_differ_widen_it_as_much_for_any_number_of_seeds():
    of_three = width(worth(*models(0.01, 0, 0.02))[-1])
    of_one = width(worth(*models(0.01, 0, 0.02, seeds=1))[-1])
    assert of_three == pytest.approx(of_one, rel=0.05)
    assert of_one == pytest.approx(2 * 1.96 * 0.02 / CUSTOMERS**0.5, rel=0.2)


@pytest.mark.parametrize("of_seed, of_customer", [(0.002, 0.0), (0.0, 0.02), (0.002, 0.02)])
def test_the_interval_holds_the_true_gain_as_often_as_it_says(of_seed, of_customer):
    estimates = [worth(*models(0.01, of_seed, of_customer, draw=n))[-1] for n in range(80)]
    held = np.mean([each.low <= 0.01 <= each.high for each in estimates])
    assert held >= 0.88


def test_other_trips_cannot_be_compared():
    (one, *_), (other, *_) = models(0.01, 0, 0)
    with pytest.raises(ValueError, match="different trips"):
        worth([one], [TripSums(other.sums, other.trips + 1)])
