"""Distances against answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.fidelity.distances import (
    auc,
    coverage,
    crps_of_chances,
    crps_of_runs,
    ks,
    ranks,
    spearman,
    wmape,
)


def test_ks():
    real, other = np.array([1, 2, 3, 4]), np.array([3, 4, 5, 6])
    assert ks(real, other) == 0.5  # up to 2 lies half of the one and none of the other
    assert ks(real, np.repeat(real, 3)) == 0
    assert ks(real, real + 10) == 1
    assert np.isnan(ks(real, np.array([])))


def test_auc():
    score, positive = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    assert auc(score, positive) == 0.75  # three of four pairs are in order
    assert auc(np.ones(4), positive) == 0.5
    assert auc(-score, positive) == 0.25
    assert np.isnan(auc(score, np.ones(4, bool)))


def test_rank_correlation():
    assert ranks(np.array([5, 1, 5, 9])).tolist() == [2.5, 1, 2.5, 4]
    one = np.array([1.0, 2.0, 3.0])
    assert spearman(one, np.array([3, 1, 2])) == pytest.approx(-0.5)
    assert spearman(one, np.exp(one)) == pytest.approx(1)
    assert np.isnan(spearman(one, np.ones(3)))


def test_wmape():
    assert wmape(np.array([10, 0, 5]), np.array([8, 1, 5])) == pytest.approx(3 / 15)
    assert np.isnan(wmape(np.zeros(2), np.ones(2)))


def test_coverage_of_known_places():
    runs = np.arange(1, 20)[:, None]  # 1 to 19: the real value has one of 20 places
    found = [coverage(np.array([real]), runs) for real in (0, 0.5, 1.5, 10.5, 18.5, 20)]
    assert found == pytest.approx([0, 0, 1, 1, 1, 0], abs=1e-9)
    assert coverage(np.array([7]), np.full((19, 1), 7)) == pytest.approx(0.9)  # every place
    assert np.isnan(coverage(np.array([7]), runs[:18]))


@pytest.mark.parametrize("runs", [19, 20, 33])
@pytest.mark.parametrize("mean", [0.3, 50])
def test_what_is_drawn_like_the_runs_is_held_nine_times_in_ten(runs, mean):
    drawn = np.random.default_rng(0).poisson(mean, (runs + 1, 20_000))
    assert coverage(drawn[0], drawn[1:]) == pytest.approx(0.9, abs=0.01)
    assert coverage(drawn[0], drawn[1:] + 15) < 0.8


def test_crps_of_chances():
    certain = np.array([[0, 0, 1.0, 0, 0, 0]])
    assert crps_of_chances(certain, np.array([5])) == pytest.approx(3)  # the distance
    assert crps_of_chances(certain, np.array([2])) == pytest.approx(0)
    coin = np.array([[0.5, 0.5]])
    assert crps_of_chances(coin, np.array([0])) == pytest.approx(0.25)


def test_crps_of_runs():
    real = np.array([0])
    assert crps_of_runs(np.array([[3]]), real) == 3  # one run: the distance
    # All four pairs of throws of a coin, 0 or 1: their mean is the score of the coin.
    pairs = [np.array([[a], [b]]) for a in (0, 1) for b in (0, 1)]
    assert np.mean([crps_of_runs(pair, real) for pair in pairs]) == pytest.approx(0.25)
    assert crps_of_runs(np.array([[1], [4], [9]]), real) == pytest.approx(14 / 3 - (3 + 8 + 5) / 6)


def test_crps_of_many_runs_is_that_of_their_distribution():
    draw = np.random.default_rng(1)
    chances = np.array([0.5, 0.3, 0.2])
    runs = draw.choice(3, (20, 30_000), p=chances)
    real = draw.choice(3, 30_000, p=chances)
    exact = crps_of_chances(np.broadcast_to(chances, (30_000, 3)), real).mean()
    assert crps_of_runs(runs, real).mean() == pytest.approx(exact, abs=0.003)
