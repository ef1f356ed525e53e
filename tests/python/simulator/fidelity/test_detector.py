"""What a detector can tell apart, and what it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.fidelity.detector import detect

pytest.importorskip("lightgbm")

CUSTOMER = np.repeat(np.arange(100), 10)


def noise(seed, *names):
    draw = np.random.default_rng(seed)
    return {name: draw.random(len(CUSTOMER)) for name in names}


def test_a_difference_is_noticed_and_named():
    real, simulated = noise(0, "same", "other"), noise(1, "same", "other")
    simulated["other"] += 2
    found = detect(real, simulated, CUSTOMER, CUSTOMER, seed=0)
    assert found.auc > 0.999
    sign = found.signs[0]
    assert (sign.words, sign.alone) == ("other", 1) and sign.weight > 0.95
    assert sign.simulated - sign.real == pytest.approx(2, abs=0.1)


def test_a_copy_is_not_noticed():
    real = noise(0, "one", "other")
    assert detect(real, real, CUSTOMER, CUSTOMER, seed=0).auc == pytest.approx(0.5, abs=0.01)


def test_nothing_is_learned_of_the_customers_whom_it_is_measured_on():
    """Each customer has a number of their own: with their trips on both sides of a fold, half
    against half would be told apart by it."""
    half = CUSTOMER % 2 == 0
    number = np.random.default_rng(2).random(100)[CUSTOMER]
    found = detect(
        {"number": number[half]}, {"number": number[~half]}, CUSTOMER[half], CUSTOMER[~half], seed=0
    )
    assert abs(found.auc - 0.5) < 0.2
