"""How many products a basket will hold, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from toy import LABELS, toy_columns, toy_manifest

from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.commands.errors import InputError
from trainer.features.chain import Chain
from trainer.features.chain_sales import chain_sales_after
from trainer.model.state import CustomerState, recorded_states
from trainer.next_baskets.basket_sizes import BasketSizes

SIZES = [1, 1, 2, 3, 3, 0]
"""Of the trips of the first customer, two of the second one and one of unknown size."""
ITEMS = [1, 2, 4, 9, 11, 5]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Two customers; the last item of the last trip of size L is of no product."""
    columns = toy_columns(trips_of=[3, 3], products=40)
    columns["trips.size"] = np.array(SIZES)
    columns["trips.item_offsets"] = np.append(0, np.cumsum(ITEMS))
    token = np.concatenate([np.arange(1, n + 1) for n in ITEMS])
    fallback = 40 + 3
    token[sum(ITEMS[:5]) - 1] = fallback
    columns |= {
        "items.token": token, "items.quantity": np.ones(len(token), int),
        "items.price": np.zeros(len(token), int),
        "trips.week": np.array([1, 2, 3, 4, 5, 6]), "trips.day": np.array([0, 7, 14, 21, 28, 35]),
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("cache")
    write_cache(folder, columns, toy_manifest())
    return TensorCache(folder)


@pytest.fixture(scope="module")
def customers(cache):
    chain = Chain(cache, chain_sales_after(cache, 0))
    states = [*recorded_states(chain, cache, [0, 1], 30), CustomerState(chain)]
    return [state.features for state in states]


def expected(cache, customers, size, visible=0, last_week=30):
    assert len(LABELS["size"]) == 3
    size = np.array([size] * len(customers))
    return BasketSizes(cache, last_week).expected(customers, size, visible)


def test_own_trips_of_the_size_and_three_of_the_chain(cache, customers):
    """Size S: 1 and 2 products, 1.5 in the mean. Size L: 9, and 10 besides the unknown one."""
    small = expected(cache, customers, [1.0, 0, 0])
    assert small.mean.tolist() == pytest.approx([(3 + 3 * 1.5) / 5, 1.5, 1.5])
    large = expected(cache, customers, [0, 0, 1.0])
    assert large.mean.tolist() == pytest.approx([9.5, (19 + 3 * 9.5) / 5, 9.5])
    both = expected(cache, customers, [0.25, 0, 0.75])
    assert both.mean.tolist() == pytest.approx((small.mean * 0.25 + large.mean * 0.75).tolist())
    assert both.any.tolist() == [1, 1, 1]


def test_only_baskets_that_hold_what_is_visible_count(cache, customers):
    """Two products visible: of size S, a trip in two holds them, and none holds more. Of size L
    all do; 7.5 are besides."""
    found = expected(cache, customers[2:], [0.5, 0, 0.5], visible=2)
    assert found.any.tolist() == pytest.approx([0.5])
    assert found.items.tolist() == pytest.approx([7.5]) and found.mean.tolist() == [3.75]
    # Ten: impossible for size S, whose probability goes to L, of which half are possible.
    found = expected(cache, customers[2:], [0.5, 0, 0.5], visible=10)
    assert (found.any.tolist(), found.items.tolist()) == ([0], [1])
    with pytest.raises(InputError, match="5 products in the basket: no recorded trip"):
        expected(cache, customers, [1.0, 0, 0], visible=5)


def test_later_trips_of_the_chain_do_not_count(cache, customers):
    """By week 4 size L has one trip, of nine products."""
    assert expected(cache, customers[2:], [0, 0, 1.0], last_week=4).mean.tolist() == [9]
