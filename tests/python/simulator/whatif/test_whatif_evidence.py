"""Whether prices moved, and what is refused where they did not."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from toy import TRAIN_LAST, toy_columns, toy_manifest
from toy_start import START

from simulator.planned_prices import PriceChange
from simulator.scenario import Scenario, Weeks
from simulator.whatif.checks import check
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.commands.errors import InputError
from trainer.features.price_evidence import price_evidence
from trainer.features.shelf_prices import ShelfPrices

FIRST, LAST = START + 1, START + 3


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """A chain whose prices move by 5 % at most."""
    columns = toy_columns(trips_of=[30] * 60, seed=4)
    pence = columns["shelf_prices.pence"]
    half = len(pence) // 2
    columns["shelf_prices.pence"] = np.concatenate([pence[:half], pence[:half] * 0.95])
    folder = tmp_path_factory.mktemp("steady") / "cache"
    write_cache(folder, columns, toy_manifest())
    return TensorCache(folder)


def plan(cache, **change):
    """A price of all products everywhere."""
    token = np.zeros(cache.vocabulary.input_size, bool)
    token[1 : cache.products + 1] = True
    stores = np.ones(cache.rows("stores"), bool)
    weeks = {"first": FIRST, "last": LAST} | change
    return Scenario(prices=(PriceChange(token, stores, **weeks),))


def test_moves_are_counted_by_product_and_week(chain):
    """As found by walking through every product and store."""
    cache, _ = chain
    seen = {}
    for trip in range(cache.rows("trips")):
        week, store = int(cache["trips.week"][trip]), int(cache["trips.store"][trip])
        begin, end = (int(each) for each in cache["trips.item_offsets"][trip : trip + 2])
        for item in range(begin, end):
            token, row = int(cache["items.token"][item]), cache["items.price"][item]
            if week <= TRAIN_LAST:
                seen.setdefault((token, store), {})[week] = float(cache["shelf_prices.pence"][row])
    for product, store, week, pence in zip(
        *(cache[f"anonymous_prices.{name}"] for name in ("product", "store", "week", "pence")),
        strict=True,
    ):
        if week <= TRAIN_LAST:
            seen.setdefault((int(product) + 1, int(store)), {})[int(week)] = float(pence)
    moved, twice = set(), set()
    for (token, _), prices in seen.items():
        weeks = sorted(prices)
        for before, week in zip(weeks, weeks[1:], strict=False):
            twice.add(token)
            if abs(prices[week] / prices[before] - 1) >= 0.1 - 1e-6:
                moved.add((token, week))
    found = price_evidence(cache)
    assert found.moves.sum() == len(moved) > 50
    assert found.moves[0] == sum(token == 1 for token, _ in moved)
    assert found.seen.sum() == len(twice) and found.can_tell
    assert f"weeks 1-20 the price of {found.moved} of {len(twice)} products" in found.words()


def test_prices_that_never_move_refuse_a_price_and_nothing_else(steady, chain):
    with pytest.raises(
        InputError, match="price of 0 of 39 products moved by 10 % or more"
    ) as error:
        check(steady, plan(steady, factor=0.8), FIRST, LAST)
    assert "\n" not in str(error.value)
    assert check(steady, Scenario(delisted=((1, Weeks(FIRST, LAST)),)), FIRST, LAST) is None
    cache, _ = chain
    assert check(cache, plan(cache, factor=0.8), FIRST, LAST).can_tell


def test_display_where_the_source_knows_of_none_is_refused(chain):
    columns = toy_columns(trips_of=[30] * 60, seed=4)
    columns["promotions.display"][:] = 0
    with tempfile.TemporaryDirectory() as folder:
        write_cache(Path(folder) / "cache", columns, toy_manifest())
        cache = TensorCache(Path(folder) / "cache")
        with pytest.raises(InputError, match="prices: display: these receipts hold none"):
            check(cache, plan(cache, display=True), FIRST, LAST)
    assert check(chain[0], plan(chain[0], display=True), FIRST, LAST).can_tell


@pytest.mark.parametrize(
    "change", [{"factor": 1.0}, {"first": 1, "last": FIRST - 1}, {"first": LAST + 1, "last": 99}]
)
def test_a_price_that_changes_nothing_is_refused(chain, change):
    cache, _ = chain
    with pytest.raises(InputError, match="the scenario changes nothing in weeks 26-28"):
        check(cache, plan(cache, **({"factor": 0.8} | change)), FIRST, LAST)


def test_a_price_that_is_paid_already_is_refused(chain):
    cache, _ = chain
    token, stores = (
        np.zeros(cache.vocabulary.input_size, bool),
        np.zeros(cache.rows("stores"), bool),
    )
    token[2], stores[1] = True, True
    prices = ShelfPrices.from_cache(cache, last_week=START)
    (pence,) = prices.at(np.array([2]), np.array([1]), np.array([FIRST]))[:, 0].round().tolist()
    same, other = (
        Scenario(prices=(PriceChange(token, stores, FIRST, LAST, pence=new),))
        for new in (pence, pence + 1)
    )
    check(cache, other, FIRST, LAST)
    with pytest.raises(InputError, match="changes nothing"):
        check(cache, same, FIRST, LAST)


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(),
        Scenario(delisted=((1, Weeks(1, START)),)),
        Scenario(new_customers=((0, Weeks(FIRST, LAST)),)),
    ],
)
def test_nothing_that_changes_is_refused(chain, scenario):
    with pytest.raises(InputError, match="changes nothing"):
        check(chain[0], scenario, FIRST, LAST)
