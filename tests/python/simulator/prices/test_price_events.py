"""Price changes and scores, worked out by head."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from panels import WEEKS, drawn_panel

from simulator.prices.events import Events, events_of, noise_floor, poisson_deviance, scores


def one_product(**changes):
    """A panel of one product and zone, sold on ten trips a week for 100 pence."""
    panel, _ = drawn_panel()
    constant = {
        name: np.full((1, 1, WEEKS), value)
        for name, value in (
            ("trips", 10.0), ("pence", 100.0), ("is_observed", True), ("display", 0.0),
            ("mailer", 0.0),
        )
    }  # fmt: skip
    for name, (week, value) in changes.items():
        constant[name][..., week - 1] = value
    return dataclasses.replace(panel, token=np.array([1]), **constant)


def test_an_event_is_a_price_that_moved_against_the_week_before():
    events = events_of(one_product(pence=(35, 90)), 30)
    assert [part.tolist() for part in events.cell] == [[0, 0], [0, 0], [34, 35]]
    assert events.is_cut.tolist() == [True, False]
    assert events.is_price_alone.all()


@pytest.mark.parametrize(
    ("changes", "start", "end"),
    [
        ({"pence": (35, 95)}, 30, None),  # by less than 10 %
        ({"pence": (30, 50)}, 31, None),  # before
        ({"pence": (35, 50)}, 30, 34),  # after
    ],
)
def test_what_is_no_event(changes, start, end):
    assert not len(events_of(one_product(**changes), start, end).trips)


def test_a_price_that_nobody_paid_is_no_event():
    panel = one_product(pence=(35, 50), is_observed=(34, False))
    assert [week.tolist() for _, _, week in [events_of(panel, 30).cell]] == [[35]]


def test_products_that_are_seldom_sold_have_no_events():
    panel = one_product(pence=(35, 50))
    panel.trips[..., :30] = 4.9
    assert not len(events_of(panel, 30).trips)


def test_display_from_5_percent_of_the_trips_on_is_a_change():
    panel = one_product(pence=(35, 50), display=(35, 0.06))
    assert events_of(panel, 30).is_price_alone.tolist() == [False, False]


def test_scores_of_three_events():
    """Predicted 8, 20 and 5 where 10, 16 and 5 came after 5, 20 and 5."""
    events = Events(
        (np.array([0, 0, 1]), np.zeros(3, int), np.array([0, 1, 2])), np.array([10.0, 16, 5]),
        np.array([5.0, 20, 5]), np.array([True, False, False]), np.array([True, False, False]),
    )  # fmt: skip
    expected = np.zeros((2, 1, 3))
    expected[events.cell] = [8, 20, 5]
    found = scores(events, expected)
    assert found["wmape"] == pytest.approx(6 / 31)
    assert found["price_alone"] == pytest.approx(2 / 10)
    deviance = 2 * (10 * np.log(10 / 8) - 2) + 2 * (16 * np.log(16 / 20) + 4)
    assert found["deviance"] == pytest.approx(deviance / 3)
    assert found["sign"] == 1 / 2  # the third has no change, the second none predicted
    assert found["cuts"] == pytest.approx(-0.2)
    assert found["rises"] == pytest.approx(25 / 21 - 1)
    # Changes: predicted 3, 0, 0, observed 5, -4, 0.
    assert found["slope"] == pytest.approx((2 * 14 / 3 + 13 / 3 + 1 / 3) / 6)
    low, high = found["wmape_interval"]
    assert low == 0 and high == pytest.approx(6 / 26)


def test_nothing_sold_has_a_deviance():
    np.testing.assert_allclose(poisson_deviance(np.zeros(1), np.ones(1)), 2)


def test_the_floor_of_poisson_trips():
    """The deviance of a Poisson number from its own mean is about 1."""
    panel, _ = drawn_panel()
    events = events_of(panel, 30)
    floor = noise_floor(events, np.full(panel.shape, 30.0))
    assert floor["deviance"] == pytest.approx(1, abs=0.05)
    assert floor["wmape"] == pytest.approx(np.sqrt(2 / np.pi / 30), rel=0.03)
