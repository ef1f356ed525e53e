"""The demand model on panels whose truth is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from panels import STILL, WEEKS, drawn_panel

from simulator.prices.demand import fit

LAST = 30


@pytest.fixture(scope="module")
def drawn():
    return drawn_panel()


@pytest.fixture(scope="module")
def demand(drawn):
    return fit(drawn[0], LAST)


def test_elasticities_are_found(drawn, demand):
    truth = drawn[1][STILL:]
    found, error = demand.elasticity[STILL:], demand.elasticity_error[STILL:]
    assert np.corrcoef(found, truth)[0, 1] > 0.7
    assert abs(found.mean() - truth.mean()) < 0.15
    assert 0.8 < (np.abs(found - truth) < 1.645 * error).mean() <= 1


def test_features_are_told_from_prices(demand):
    np.testing.assert_allclose(demand.own[:, 1].mean(), 0.8, atol=0.15)
    np.testing.assert_allclose(demand.own[:, 2].mean(), 0.4, atol=0.15)


def test_a_price_that_never_moved_has_no_effect_and_is_flagged(drawn, demand):
    panel, _ = drawn
    assert not demand.moving[:STILL].any() and demand.moving[STILL:].all()
    assert (demand.elasticity[:STILL] == 0).all()
    assert np.isinf(demand.elasticity_error[:STILL]).all()
    assert (demand.evidence.moves[:STILL] == 0).all()
    assert demand.evidence.deviation[:STILL].max() < 1e-9
    dearer = dataclasses.replace(panel, pence=panel.pence * 1.2)
    np.testing.assert_array_equal(demand.answer(dearer)[:STILL], demand.answer(panel)[:STILL])


def test_the_elasticity_is_the_slope_of_expected_demand(drawn, demand):
    """The price of week 35 a tenth of a percent up, everything else as it was."""
    panel, _ = drawn
    dearer = panel.pence.copy()
    dearer[..., 34] *= 1.001
    change = demand.answer(dataclasses.replace(panel, pence=dearer)) - demand.answer(panel)
    slope = change[..., 34].mean(1) / np.log(1.001)
    np.testing.assert_allclose(slope, demand.elasticity, atol=1e-6)


def test_a_fit_reads_no_later_week(drawn, demand):
    panel, _ = drawn
    later = np.arange(WEEKS) >= LAST
    changed = dataclasses.replace(
        panel,
        **{
            name: np.where(later, getattr(panel, name)[..., ::-1] * 2 + 1, getattr(panel, name))
            for name in ("trips", "pence", "display", "mailer", "traffic")
        },
    )
    again = fit(changed, LAST)
    np.testing.assert_array_equal(again.own, demand.own)
    np.testing.assert_array_equal(again.error, demand.error)


def test_a_prediction_reads_no_trips_of_its_week_or_later(drawn, demand):
    panel, _ = drawn
    trips = panel.trips.copy()
    trips[..., 33:] += 7
    changed = demand.expected(dataclasses.replace(panel, trips=trips))
    expected = demand.expected(panel)
    np.testing.assert_array_equal(changed[..., :34], expected[..., :34])
    assert (changed[..., 34] > expected[..., 34]).all()


def test_the_price_blind_twin_predicts_worse(drawn, demand):
    panel, _ = drawn
    twin = fit(panel, LAST, with_prices=False)
    assert (twin.elasticity == 0).all() and not twin.moving.any()
    later = np.s_[..., LAST:]
    errors = [np.abs(d.expected(panel) - panel.trips)[later].sum() for d in (demand, twin)]
    assert errors[0] < errors[1]


def test_a_week_without_traffic_sells_nothing(drawn, demand):
    """As a week that is missing from the files."""
    panel, _ = drawn
    trips, traffic = panel.trips.copy(), panel.traffic.copy()
    trips[..., 19], traffic[..., 19] = 0, 0
    missing = dataclasses.replace(panel, trips=trips, traffic=traffic, is_observed=trips > 0)
    expected = fit(missing, LAST).expected(missing)
    assert (expected[..., 19] == 0).all()
    assert (expected[..., 20] > 0).all() and np.isfinite(expected).all()
