"""Forecasts of how often customers come: chances, scores, and rules that are fitted."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.fidelity.counting_rules import CountingRules, Dropout
from simulator.fidelity.visits import count_chances, log_chances, of_mean, of_runs


def test_chances_of_counts():
    poisson = count_chances(np.array([2.0]), 5)
    assert poisson[0, :3] == pytest.approx(np.exp(-2) * np.array([1, 2, 2]))
    geometric = count_chances(np.array([3.0]), 5, shape=1.0)
    assert geometric[0, :3] == pytest.approx([1 / 4, 3 / 16, 9 / 64])
    assert poisson.sum() == pytest.approx(1) and geometric.sum() == pytest.approx(1)


def test_scores_of_a_mean():
    real = np.array([[0, 1], [2, 0]])
    found = of_mean(real, np.array([2.0, 2.0]))
    assert found.likelihood == pytest.approx([np.log(2) - 2, np.log(2) - 2])
    week = count_chances(np.array([1.0]), 5)[0].cumsum()
    by_hand = [((week - (np.arange(len(week)) >= count)) ** 2).sum() for count in (0, 1, 2)]
    expected = [(by_hand[0] + by_hand[2]) / 2, (by_hand[1] + by_hand[0]) / 2]
    assert found.by_week == pytest.approx(expected)


def test_the_likelihood_from_twenty_runs_is_near_that_of_their_distribution():
    draw = np.random.default_rng(0)
    mean = draw.gamma(0.8, 8, 2000)
    runs, real = draw.poisson(mean, (20, 2000)), draw.poisson(mean)
    chances = count_chances(mean, int(real.max()))
    exact = np.log(chances[np.arange(2000), real]).mean()
    found = log_chances(runs, real).mean()
    assert exact - 0.06 < found < exact
    assert log_chances(draw.poisson(mean, (100, 2000)), real).mean() > exact - 0.025


def test_scores_of_runs():
    real = np.array([[1, 0], [0, 0]])
    one = of_runs(real, np.array([[[3, 0], [0, 1]]]))
    assert one.likelihood is None and one.crps.tolist() == [2, 1]
    assert one.by_week.tolist() == [1, 0.5]
    surely = of_runs(real, np.repeat(real[None], 20, 0))
    assert surely.crps.tolist() == [0, 0] and (surely.likelihood > -0.05).all()


def test_bg_nbd_finds_what_customers_were_drawn_from():
    draw, count, age = np.random.default_rng(0), 1500, 60.0
    rate, leaves = draw.gamma(1.5, 1 / 2.0, count), draw.beta(1.0, 9.0, count)
    repeats, last = np.zeros(count, int), np.zeros(count)
    later = np.zeros(count)
    for customer in range(count):
        time = 0.0
        while draw.random() > leaves[customer]:
            time += draw.exponential(1 / rate[customer])
            if time > age + 9:
                break
            if time > age:
                later[customer] += 1
            else:
                repeats[customer] += 1
                last[customer] = time
    # The first trip, at time 0, is followed by a chance to leave in this world: drop who used it.
    kept = repeats > 0
    found = Dropout(repeats[kept], last[kept], np.full(kept.sum(), age))
    forecast = found.draw(9, 100, np.random.default_rng(1)).sum(2).mean(0)
    assert forecast.mean() == pytest.approx(later[kept].mean(), rel=0.1)
    assert np.corrcoef(forecast, later[kept])[0, 1] > 0.7
    shape, scale, a, b = found.parameters
    assert a / (a + b) == pytest.approx(0.1, abs=0.03)


def test_rules_of_a_chain(window):
    found = CountingRules(window).scores(0)
    assert list(found) == [
        "Poisson, own rate of 13 weeks", "negative binomial regression", "BG/NBD",
    ]  # fmt: skip
    real = window.trips_by_week(window.real)
    late = window.history.day >= 7 * (23 - 13)
    rate = np.bincount(window.history.customer[late], minlength=window.customers) * 5 / 13
    expected = of_mean(real, np.maximum(rate[window.population], 0.5 * 5 / 13))
    assert found["Poisson, own rate of 13 weeks"].crps == pytest.approx(expected.crps)
    for scores in found.values():
        assert scores.crps.shape == (len(real),) and scores.by_week.shape == (5,)
        assert np.isfinite(scores.likelihood).all()
