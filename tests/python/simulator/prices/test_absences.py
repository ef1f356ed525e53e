"""What customers do whose product is missing, from receipts of which it is known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from made_up_prices import panel_of, response_of

from simulator.prices.absences import (
    ASKED,
    ASKED_SPREAD,
    UNTOLD,
    Instead,
    _gaps,
    _with_asked,
    fit_instead,
)

WEEKS = 20


class Receipts(dict):
    """A cache of trips with one item each, by customer; stores are regions."""

    def __init__(self, customer, store, week, product, stores=1):
        order = np.argsort(customer, kind="stable")
        customer, store, week, product = (x[order] for x in (customer, store, week, product))
        trips = np.bincount(customer)
        super().__init__({
            "stores.region": np.arange(stores),
            "customers.trip_offsets": np.append(0, trips.cumsum()),
            "trips.item_offsets": np.arange(len(customer) + 1),
            "trips.week": week, "trips.store": store, "items.token": product + 1,
        })  # fmt: skip
        self.vocabulary = SimpleNamespace(input_size=9)
        self.sold = np.zeros((int(product.max()) + 1, stores, WEEKS))
        np.add.at(self.sold, (product, store, week - 1), 1)

    def response(self, need, effect=None):
        """Nothing but levels, if not told otherwise, with equal traffic in all weeks."""
        products = response_of(np.ones(len(need)), need).products
        nothing = np.zeros(self.sold.shape)
        return replace(
            products, panel=panel_of(self.sold, nothing + 100), wander=nothing,
            effect=nothing if effect is None else effect,
        )  # fmt: skip


def receipts_of(rows, **how) -> Receipts:
    """rows: of customer, store, week, product, and how many trips."""
    customer, store, week, product, trips = np.array(rows).T
    return Receipts(*(np.repeat(x, trips) for x in (customer, store, week, product)), **how)


def test_two_households():
    """One buys product 0, ten times a week; without it, in week 11, four times product 1. The
    other buys product 1 alone, and happens to buy twice as much of it in that week."""
    rows = [(0, 0, week, 0, 10) for week in range(1, WEEKS + 1) if week != 11]
    rows += [(1, 0, week, 1, 20 if week == 11 else 10) for week in range(1, WEEKS + 1)]
    rows.append((0, 0, 11, 1, 4))
    # Something else, so that every week has as many trips.
    rows += [(1, 0, week, 2, 4) for week in range(1, WEEKS + 1) if week != 11]
    cache = receipts_of(rows)
    found = fit_instead(cache, cache.response([0, 0, 1]), WEEKS)
    assert found.gaps == 1 and found.is_told
    assert found.value == pytest.approx(0.4, abs=0.02)


def test_it_is_found_in_made_up_receipts():
    """60 households, two regions, 40 needs of two products; one in thirty weeks misses one."""
    rng = np.random.default_rng(0)
    rows, needs, truth = [], 40, 0.3
    taste = rng.beta(0.5, 0.5, (needs, 60))
    for need in range(needs):
        for store in range(2):
            missing = np.where(rng.random(WEEKS) < 1 / 30, rng.integers(0, 2, WEEKS), -1)
            for week in range(1, WEEKS + 1):
                for household in range(30 * store, 30 * store + 30):
                    first = taste[need, household]
                    wanted = rng.poisson([first, 1 - first])
                    gone = missing[week - 1]
                    if gone >= 0:
                        wanted[1 - gone] += rng.binomial(wanted[gone], truth)
                        wanted[gone] = 0
                    rows += [(household, store, week, 2 * need + k, wanted[k]) for k in (0, 1)]
    cache = receipts_of(rows, stores=2)
    cache.vocabulary.input_size = 2 * needs + 3
    found = fit_instead(cache, cache.response(np.arange(2 * needs) // 2), WEEKS)
    assert found.gaps > 20 and found.error < 0.06
    assert abs(found.value - truth) < 2.5 * found.error


@pytest.mark.parametrize(("usual", "gaps"), [(2, 0), (30, 1)])
def test_what_a_discount_would_have_brought_is_not_missing(usual, gaps):
    """Ten times as many buy at a discount; the week after it nobody does, and the price that is
    carried on is the low one."""
    often = np.full(WEEKS, usual)
    often[9:11] = 10 * usual, 0
    rows = [(0, 0, week, 0, trips) for week, trips in enumerate(often, 1)]
    rows += [(0, 0, week, 1, 200) for week in range(1, WEEKS + 1)]
    effect = np.zeros((2, 1, WEEKS))
    effect[0, 0, 9:11] = np.log(10)
    cache = receipts_of(rows)
    assert fit_instead(cache, cache.response([0, 0], effect), WEEKS).gaps == gaps


def test_gaps_are_short_lie_between_sales_of_a_region_and_are_no_chance():
    """Two regions of eight weeks."""
    found = np.ones((5, 16), int)
    found[0, [2, 3]] = 0  # a gap
    found[1, [7, 8]] = 0  # the last week of one region, the first of the other
    found[2, 1:7] = 0  # too long
    found[3, 5] = 0  # too few to be expected
    usual = np.full((5, 16), 5.0)
    gaps = _gaps(found, usual, 8)
    assert {product: [cell.tolist() for cell in cells] for product, cells in gaps.items()} == {
        0: [[2, 3]]
    }


def test_what_was_asked_counts_as_far_as_gaps_leave_it_open():
    nothing = np.zeros(0)
    assert _with_asked(nothing, nothing, nothing) == UNTOLD
    assert not UNTOLD.is_told and "too few to tell" in UNTOLD.words()
    more, lost, variance = np.array([6.0, 2.0]), np.array([10.0, 10.0]), np.array([1.0, 2.0])
    found = _with_asked(more, lost, variance)
    told, asked = 20**2 / (2**2 + 2**2), ASKED_SPREAD**-2
    assert found.value == pytest.approx((told * 0.4 + asked * ASKED) / (told + asked))
    assert found.error == pytest.approx((told + asked) ** -0.5)
    # One gap agrees with itself: what chance does to its purchases stays open.
    assert _with_asked(more[:1], lost[:1], variance[:1]).error == pytest.approx(
        (100 + asked) ** -0.5
    )


def test_it_says_what_it_rests_on():
    assert "Rivals get 40 % of" in Instead(0.4, 0.02, 1234).words()
    assert "1,234 gaps" in Instead(0.4, 0.02, 1234).words()
