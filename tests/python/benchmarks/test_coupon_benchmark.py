"""The benchmark of coupons: what they leave behind, and what each truly does beside its trial."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.coupons import EVERYTHING, ONE_YEAR, left_behind, lifts_beside, true_lift
from dbt_project.sample import Behaviour, ChainConfig
from simulator.environments.coupons import Menu
from simulator.environments.learned.coupon_lift import FIGURES, Lift
from simulator.policy.factorial_trial import opening_of
from simulator.policy.values import NOBODY
from trainer.cache.json_files import write_json


def test_what_is_left_behind_is_of_the_weeks_after_a_year(tmp_path):
    """Gains of 10 and 30 after the year, whatever there was in it: 20 and 12.706 x 10."""
    none = [[100.0] * 54] * 2
    year = [[900.0] * 52 + [100.0 + gain] * 2 for gain in (10, 30)]
    path = tmp_path / "truth.json"
    write_json(path, {"policies": {NOBODY: {"profit": none}, ONE_YEAR: {"profit": year}}})

    assert left_behind([path]) == "+20 (-107 to +147)"


@pytest.fixture(scope="module")
def truth():
    """Of coupons of 40 % on two products of a small chain, and the menu."""
    config = ChainConfig(customers=60, products=70, stores=5, weeks=70, seed=7)
    opening, weeks = opening_of(config, Behaviour(), 66)
    menu = Menu.of(opening, 2, 0.4)
    need = opening.start()[0].setting.catalogue.need
    found = true_lift(opening, menu, weeks, 66, need, 1, lambda: None)
    none = replace(menu, depth=1e-9)
    return found, true_lift(opening, none, weeks, 66, need, 1, lambda: None)


def test_a_deep_coupon_sells_more_of_its_product_and_costs_what_it_takes_off(truth):
    found, _ = truth

    assert set(found) == {"used", *FIGURES, EVERYTHING}
    assert (found["units"][:2] > 0).all()
    assert (found["used"] > 0).all()
    assert (found["cost"] > 0).all()
    for values in found.values():
        assert values[2] == pytest.approx(values[:2].mean())


def test_a_coupon_that_takes_off_nothing_does_nothing(truth):
    _, nothing = truth

    for name in ("units", "rest", "trips", "profit", EVERYTHING):
        assert np.allclose(nothing[name], 0, atol=1e-6)


def test_the_truth_lies_beside_what_the_trial_says():
    """An estimate of .05 units, .02 to each side: .06 is within, .08 is not."""
    some = {name: (np.full(3, 0.05), np.full(3, 0.02)) for name in FIGURES}
    said = Lift(["A", "B"], np.full(3, 10), np.full(3, 0.1), some)
    true = {name: np.array([0.06, 0.08, 0.06]) for name in ("used", *FIGURES, EVERYTHING)}
    rows = lifts_beside(said, true)

    assert rows[1][:3] == ["A", "10.0%, 6.0%", "+5.0 (+3.0 to +7.0), +6.0"]
    assert rows[-1][2:] == ["67%"] * len(FIGURES) + [""]
