"""Random numbers by what they decide."""

from __future__ import annotations

import numpy as np
from scipy import stats

from simulator.draws import chosen, gumbels, uniforms


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


def test_columns_are_chosen_by_weight():
    weights = np.array([[0.0, 2.0, 6.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert chosen(weights, np.array([0.2, 0.9999, 1e-12])).tolist() == [1, 0, 0]
    assert chosen(weights[:1], np.array([0.26])).tolist() == [2]
