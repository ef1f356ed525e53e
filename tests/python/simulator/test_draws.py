"""Random numbers by what they decide."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from simulator import draws
from simulator.draws import chosen, gumbels, race, uniforms


def test_a_number_does_not_depend_on_what_else_is_drawn():
    customers, days = np.arange(50), np.arange(7)
    table = uniforms(3, 1, customers[:, None], days[None])
    assert table.shape == (50, 7)
    np.testing.assert_array_equal(uniforms(3, 1, 20, days), table[20])
    np.testing.assert_array_equal(uniforms(3, 1, customers[::-1], 4), table[::-1, 4])


def test_every_key_counts_and_so_does_their_order():
    found = [
        uniforms(*keys)[0] for keys in ((0, 1), (1, 0), (0, 0), (0, 0, 0), (0, -1), (0, 2**40))
    ]
    assert len(set(found)) == len(found)


def test_they_are_uniform_and_unrelated_along_each_key():
    for keys in ((0, 1, np.arange(20_000)), (np.arange(20_000), 1, 5), (7, np.arange(20_000), -2)):
        u = uniforms(*keys)
        assert ((u > 0) & (u < 1)).all()
        assert stats.kstest(u, "uniform").pvalue > 0.001
        assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.03


def test_the_largest_of_log_probabilities_with_noise_is_a_draw():
    p = np.array([0.1, 0.2, 0.7])
    drawn = (np.log(p) + gumbels(1, np.arange(20_000)[:, None], np.arange(3))).argmax(1)
    assert stats.chisquare(np.bincount(drawn), p * 20_000).pvalue > 0.001


@pytest.fixture(params=[4, 2048], ids=["in groups", "each for itself"])
def groups(monkeypatch, request):
    """Columns race in 4 groups, or each for itself."""
    monkeypatch.setattr(draws, "GROUPS", request.param)


def raced(weights, winners, seed=0, rows=60_000):
    """Winners (rows, winners) of as many races of the same weights."""
    return race(weights.expand(rows, -1), winners, seed, np.arange(rows)).numpy()


@pytest.mark.parametrize("winners", [1, 2, 3])
def test_winners_of_a_race_are_drawn_by_weight_without_replacement(groups, winners):
    """The second is drawn by weight among those who are left, whatever group they are in."""
    weights = torch.tensor(
        [3.0, 1, 0, 2, 4, 1, 5, 0, 0, 0, 0, 2, 2, 2]
    )  # the third of four has none
    found = raced(weights, winners)
    p = (weights.double() / weights.double().sum()).numpy()
    assert (np.diff(np.sort(found), axis=1) > 0).all() and (p[found] > 0).all()
    possible = np.flatnonzero(p)
    expected = np.zeros((len(p), len(p)))
    for first in possible:
        expected[first] = p[first] * p / (1 - p[first])
        expected[first, first] = 0
    counted = np.bincount(found[:, 0], minlength=len(p))[possible]
    assert stats.chisquare(counted, p[possible] * len(found)).pvalue > 0.001
    if winners > 1:
        pairs = np.zeros(expected.shape)
        np.add.at(pairs, (found[:, 0], found[:, 1]), 1)
        some = expected > 0
        assert stats.chisquare(pairs[some], expected[some] * len(found)).pvalue > 0.001
    if winners == 3:
        first, second, third = found.T
        left = 1 - p[first] - p[second]
        mean = sum((third == c) - p[c] / left * ((first != c) & (second != c)) for c in (6, 12))
        assert abs(mean.mean()) < 4 * mean.std() / np.sqrt(len(mean))


def test_all_with_a_weight_win_if_there_are_no_others(groups):
    weights = torch.tensor([0.0, 0, 0, 0, 0, 2, 0, 1, 0, 1e-30])
    assert (np.sort(raced(weights, 3, rows=50)) == [5, 7, 9]).all()


def test_a_race_does_not_depend_on_who_races_beside(groups):
    weights = torch.rand(30, 11, generator=torch.Generator().manual_seed(0))
    found = race(weights, 2, 5, np.arange(30))
    some = np.arange(3, 30, 4)
    assert torch.equal(race(weights[some], 2, 5, some), found[some])


def test_without_one_column_others_win_where_it_did(groups):
    """A race changes where the column won, and where its group won by its weight."""
    weights = torch.rand(1, 40, generator=torch.Generator().manual_seed(0)) + 0.5
    without = weights.clone()
    without[0, 7] = 0
    before, after = raced(weights, 1)[:, 0], raced(without, 1)[:, 0]
    p = float(weights[0, 7] / weights.sum())
    lost = before == 7
    assert lost.mean() == pytest.approx(p, rel=0.1)
    assert ((before != after) & ~lost).mean() < (p if draws.GROUPS < 40 else 1e-9)


def test_columns_are_chosen_by_weight():
    weights = np.array([[0.0, 2.0, 6.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert chosen(weights, np.array([0.2, 0.9999, 1e-12])).tolist() == [1, 0, 0]
    assert chosen(weights[:1], np.array([0.26])).tolist() == [2]
