"""Intervals of made-up runs, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.intervals import mean_interval, paired, share

T2, T1 = 2.919986, 6.313752
"""95 % points of Student's t with two degrees of freedom and with one."""


def pairs(*differences):
    """(models, runs, 2) of runs that are 10 without a change."""
    change = np.array(differences, float)
    return np.stack([np.full_like(change, 10), 10 + change], axis=-1)


def test_the_runs_of_one_model():
    """1, 2 and 3: mean 2, standard deviation 1."""
    found = paired(pairs([1, 2, 3]))
    assert (found.without, found.change) == (10, 2)
    assert found.error == pytest.approx(1 / np.sqrt(3))
    assert found.high - 2 == pytest.approx(T2 / np.sqrt(3)) == pytest.approx(2 - found.low)
    assert found.stands_out and found.differs
    assert not paired(pairs([-1, 2, 3])).stands_out  # mean 4/3, standard deviation 2.08


def test_of_several_models_their_means_count():
    """Means 1 and 4: standard deviation 2.1213, error 1.5, whatever their runs do around them."""
    found = paired(pairs([0, 2], [1, 7]))
    assert found.change == 2.5 and found.error == pytest.approx(1.5)
    assert found.high == pytest.approx(2.5 + 1.5 * T1) and not found.stands_out
    calm = paired(pairs([1, 1], [4, 4]))
    assert (calm.low, calm.high) == (found.low, found.high)


def test_a_single_pair_has_no_interval():
    found = paired(pairs([3]))
    assert found.change == 3 and np.isnan([found.error, found.low, found.high]).all()
    assert not found.stands_out


def test_what_never_differs_is_exactly_0_and_does_not_stand_out():
    found = paired(pairs([0, 0, 0]))
    assert (found.low, found.change, found.high) == (0, 0, 0)
    assert not found.stands_out and not found.differs
    always = paired(pairs([-4, -4, -4]))  # as a delisted product that sold the same in each
    assert (always.low, always.high) == (-4, -4) and always.stands_out


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of models that disagree with a spread of 2 around 5, and runs of 3 around each."""
    draw = np.random.default_rng(0)
    model = 5 + 2 * draw.standard_normal((4, 1, 4000))
    low, high, _ = mean_interval(model + 3 * draw.standard_normal((4, 6, 4000)))
    assert np.mean((low < 5) & (high > 5)) == pytest.approx(0.9, abs=0.02)


def test_a_share_of_what_is_gained():
    """Half of 4, 8 and 12, with nothing left over; then 1 more and 1 less."""
    whole = np.array([[4.0, 8.0, 12.0]])
    assert share(whole / 2, whole) == (0.5, 0.5, 0.5)
    value, low, high = share(whole / 2 + [[1, -1, 0]], whole)
    assert value == 0.5
    assert high - value == pytest.approx(T2 / np.sqrt(3) / 8) == pytest.approx(value - low)
