"""Groups of stores that charge alike."""

from __future__ import annotations

import numpy as np

from simulator.prices.zones import price_zones


def prices(groups: list[int], seed: int = 0, shared: float = 0.6, shown: float = 0.5):
    """Prices of 60 products in 20 weeks at stores of these groups: most are the chain's, the rest
    the group's own; each store shows half of them."""
    draw = np.random.default_rng(seed)
    count = (60, 20, len(groups))
    product, week, store = np.indices(count).reshape(3, -1)
    of_chain = draw.integers(50, 500, count[:2])
    of_group = draw.integers(50, 500, (*count[:2], max(groups) + 1))
    is_shared = draw.random(count[:2]) < shared
    own = of_group[product, week, np.array(groups)[store]]
    pence = np.where(is_shared[product, week], of_chain[product, week], own)
    kept = draw.random(len(product)) < shown
    return product[kept], store[kept], week[kept], pence[kept].astype(float)


def test_two_groups_are_found_the_larger_first():
    groups = [1, 1, 0, 0, 0, 1, 0, 0]
    assert price_zones(*prices(groups), stores=8).tolist() == groups


def test_a_chain_with_one_price_is_one_zone():
    assert price_zones(*prices([0] * 6), stores=6).tolist() == [0] * 6


def test_a_small_store_joins_the_zone_it_agrees_with():
    groups = [0, 0, 0, 0, 1, 1, 1, 1]
    product, store, week, pence = prices(groups)
    kept = (store != 7) | (np.cumsum(store == 7) <= 40)
    found = price_zones(product[kept], store[kept], week[kept], pence[kept], stores=9)
    assert found.tolist() == [*groups, 0]  # the last store sold nothing


def test_the_order_of_prices_does_not_matter():
    groups = [0, 1, 0, 1, 0, 0]
    columns = prices(groups)
    order = np.random.default_rng(1).permutation(len(columns[0]))
    found = price_zones(*(values[order] for values in columns), stores=6)
    assert found.tolist() == price_zones(*columns, stores=6).tolist() == groups
