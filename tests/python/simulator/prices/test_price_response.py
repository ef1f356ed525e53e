"""Elasticities that are known are found; what is not in the receipts is not made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_prices import panel_of, promotions

from simulator.prices.needs import Needs, Purchases, cross_scores, find_needs
from simulator.prices.relative import relative_prices
from simulator.prices.response import fit_response

NEED = np.repeat(np.arange(4), 3)
SWITCHING = np.tile([1.5, 2.5, 3.5], 4)
LASTING, PASSING = 0.5, 0.0
ZONES, WEEKS = 2, 90


def sold(pence, rng, need=NEED, switching=SWITCHING, level=60.0) -> np.ndarray:
    """Trips of the model without memory."""
    price = np.log(pence / 200)
    appeal = np.exp(-switching[:, None, None] * price)
    total = np.stack([appeal[need == k].mean(0) for k in range(need.max() + 1)])
    return rng.poisson(level * appeal / total[need] * np.exp(-LASTING * price))


def purchases_of(panel, customers=40) -> Purchases:
    """Whoever of a zone's customers, who all come every week, may have bought it."""
    rng = np.random.default_rng(2)
    products, zones, weeks = panel.trips.shape
    counts = panel.trips.astype(int).ravel()
    product, zone, week = (
        np.repeat(x, counts) for x in np.unravel_index(np.arange(counts.size), panel.trips.shape)
    )
    who = zone * customers + rng.integers(customers, size=len(zone))
    everyone = np.repeat(np.arange(zones * customers), weeks)
    cell = (everyone // customers) * weeks + np.tile(np.arange(weeks), zones * customers)
    return Purchases(zones * customers, who, zone * weeks + week, product, everyone, cell)


@pytest.fixture(scope="module")
def made():
    """`panel, price` of 12 products in 4 needs, in two categories."""
    rng = np.random.default_rng(0)
    pence = promotions(rng, 12, ZONES, WEEKS)
    panel = panel_of(sold(pence, rng), pence, category=NEED // 2, department=NEED // 2)
    return panel, relative_prices(panel, WEEKS)


def test_known_elasticities_are_found(made):
    panel, price = made
    found = fit_response(panel, price, Needs(NEED, 0.5), WEEKS)
    assert found.moved.all()
    error = found.switching * found.switching_error
    assert (np.abs(found.switching - SWITCHING) < 4 * error + 0.1).all()
    assert error.max() < 0.4
    assert np.corrcoef(found.switching, SWITCHING)[0, 1] > 0.95
    assert found.lasting + found.passing == pytest.approx(LASTING + PASSING, abs=0.12)
    assert found.share == pytest.approx(1 / 3, abs=0.12)


def test_what_display_does_is_told_from_what_prices_do(made):
    panel, price = made
    rng = np.random.default_rng(1)
    on = (rng.random(panel.trips.shape) < 0.5) & (price < 0)  # with half of the cuts
    appeal = np.exp(-SWITCHING[:, None, None] * price + 0.5 * on)
    total = np.stack([appeal[k == NEED].mean(0) for k in range(4)])
    trips = rng.poisson(60 * appeal / total[NEED] * np.exp(-LASTING * price)).astype(float)
    shown = replace(panel, trips=trips, units=trips, display=on.astype(float))
    found = fit_response(shown, price, Needs(NEED, 0.5), WEEKS)
    assert found.display == pytest.approx(0.5, abs=3 * found.common_error[3, 3] ** 0.5)
    assert found.common_error[3, 3] ** 0.5 < 0.1
    assert found.mailer == 0
    assert np.corrcoef(found.switching, SWITCHING)[0, 1] > 0.9


def test_later_weeks_are_not_read(made):
    panel, _ = made
    changed = replace(
        panel,
        trips=np.where(np.arange(WEEKS) < 60, panel.trips, 7 * panel.trips + 3),
        pence=np.where(np.arange(WEEKS) < 60, panel.pence, 3 * panel.pence),
    )
    found = [
        fit_response(each, relative_prices(each, 60), Needs(NEED, 0.5), 60).switching
        for each in (panel, changed)
    ]
    assert np.array_equal(*found)


def test_prices_that_never_moved_have_no_effect(made):
    panel, _ = made
    still = replace(panel, pence=np.where(np.arange(12)[:, None, None] == 5, 200, panel.pence))
    found = fit_response(still, relative_prices(still, WEEKS), Needs(NEED, 0.5), WEEKS)
    assert found.moved.tolist() == [row != 5 for row in range(12)]
    assert found.switching[5] == found.quantity[5] == 0


def test_a_manager_who_promotes_what_sells_anyway_does_not_mislead():
    """Demand of a category rises and falls slowly, and promotions follow it."""
    rng = np.random.default_rng(1)
    season = 0.6 * np.sin(np.arange(WEEKS) / 9)
    off = rng.random((12, 1, WEEKS)) < np.where(season > 0, 0.35, 0.05)
    pence = np.broadcast_to(np.where(off, 140, 200), (12, ZONES, WEEKS)).astype(float)
    trips = sold(pence, rng, level=60 * np.exp(season))
    panel = panel_of(trips, pence, category=NEED // 2, department=NEED // 2)
    found = fit_response(panel, relative_prices(panel, WEEKS), Needs(NEED, 0.5), WEEKS)
    assert found.switching.mean() == pytest.approx(SWITCHING.mean(), rel=0.1)
    assert found.lasting + found.passing == pytest.approx(LASTING, abs=0.2)


def test_products_that_replace_each_other_show(made):
    panel, price = made
    score = cross_scores(panel, price, purchases_of(panel))
    assert np.array_equal(score, score.T)
    same = (NEED[:, None] == NEED) & ~np.eye(12, dtype=bool)
    assert score[same].min() > 2
    assert np.abs(score[NEED[:, None] != NEED].mean()) < 1


class NoGraph(dict):
    """A cache whose product graph has no substitutes."""

    products = 12

    def __init__(self):
        super().__init__(
            {f"graph.{name}": np.zeros(0, int) for name in ("source", "target", "type")}
        )

    def rows(self, table):
        return 0


def test_needs_are_found_where_prices_show_them(made):
    panel, price = made
    found = find_needs(NoGraph(), panel, price, purchases_of(panel))
    assert found.can_tell and found.substitutes > 0.3
    assert all(np.unique(found.need[k == NEED]).size == 1 for k in range(4))
    assert np.unique(found.need).size >= 3  # chance may join two of one category


def test_where_nothing_replaces_anything_it_is_said(made):
    """Each product answers to its own price alone: then so does the model, product by product."""
    rng = np.random.default_rng(3)
    pence = promotions(rng, 12, ZONES, WEEKS)
    trips = rng.poisson(60 * np.exp(-SWITCHING[:, None, None] * np.log(pence / 200)))
    panel = panel_of(trips, pence, category=NEED // 2, department=NEED // 2)
    price = relative_prices(panel, WEEKS)
    needs = find_needs(NoGraph(), panel, price, purchases_of(panel))
    assert not needs.can_tell and needs.need.tolist() == list(range(12))
    found = fit_response(panel, price, needs, WEEKS)
    own = found.switching + found.lasting + found.passing
    assert own == pytest.approx(SWITCHING, abs=0.35)


def test_a_price_nobody_saw_is_that_of_other_zones_or_of_the_week_before():
    pence = np.array([[[100, 80, 100, 100.0], [200, 200, 200, 200]]])
    seen = np.array([[[True, True, False, True], [True, False, False, True]]])
    relative = relative_prices(panel_of(np.ones(pence.shape), pence, seen), 4)
    off = np.log(0.8)
    assert relative[0, 0] == pytest.approx([0, off, off, 0])
    assert relative[0, 1] == pytest.approx([0, off, off, 0])
