"""Which part a line belongs to."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.planned_prices import PriceChange
from simulator.scenario import Opening, Scenario, Weeks
from simulator.whatif.parts import PARTS, Parts, changed_shelves

FIRST, LAST = 26, 31


@pytest.fixture(scope="module")
def part(chain):
    """`part(product, store, week)` of a price of product 0 in store 1 in weeks 27-28, and product
    20 delisted in week 30. Of 40 products each ten are a category."""
    cache, _ = chain
    token, store = np.zeros(cache.vocabulary.input_size, bool), np.zeros(cache.rows("stores"), bool)
    token[1], store[1] = True, True
    plan = Scenario(
        prices=(PriceChange(token, store, 27, 28, factor=0.8),), delisted=((21, Weeks(30, 30)),)
    )
    parts = Parts(cache, changed_shelves(cache, plan), FIRST, LAST)

    def of(product, store, week):
        found = parts.of(np.array([product + 1]), np.array([store]), np.array([week]))
        return [*PARTS][found[0]]

    of.parts = parts
    return of


@pytest.mark.parametrize(
    ("product", "store", "week", "expected"),
    [
        (0, 1, 26, "rest"),
        (0, 1, 27, "changed"),
        (0, 1, 28, "changed"),
        (0, 2, 28, "elsewhere"),
        (0, -1, 28, "elsewhere"),  # a store that the cache lacks
        (9, 1, 27, "rivals"),
        (9, 2, 27, "elsewhere"),
        (10, 1, 27, "beside"),
        (10, 2, 27, "elsewhere"),
        (0, 1, 29, "afterwards"),
        (9, 3, 29, "afterwards"),
        (10, 1, 29, "rest"),
        (20, 3, 29, "rest"),  # its turn comes
        (0, 1, 30, "afterwards"),
        (20, 3, 30, "changed"),
        (20, -1, 30, "changed"),  # a delisting is for every store
        (29, 0, 30, "rivals"),
        (30, 0, 30, "beside"),
        (29, 0, 31, "afterwards"),
        (30, 0, 31, "rest"),
    ],
)
def test_each_line_has_one_part(part, product, store, week, expected):
    assert part(product, store, week) == expected


def test_products_are_changed_rivals_or_neither(part):
    assert np.flatnonzero(part.parts.changed).tolist() == [1, 21]
    products = np.flatnonzero(part.parts.rivals[:41])
    assert products.tolist() == [*range(2, 11), *range(22, 31)]


def test_a_launch_is_a_change_for_good(chain):
    cache, _ = chain
    plan = Scenario(launched=(Opening(40, 1, 28),))
    parts = Parts(cache, changed_shelves(cache, plan), FIRST, LAST)
    week = np.arange(FIRST, LAST + 1)
    found = parts.of(np.full(6, 40), np.zeros(6, int), week)
    assert [[*PARTS][each] for each in found] == ["rest"] * 2 + ["changed"] * 4
