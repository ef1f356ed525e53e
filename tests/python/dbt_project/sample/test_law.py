"""The law of baskets: its probabilities are the frequencies of the chain's own draws."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

from dbt_project.sample import ChainConfig, labels
from dbt_project.sample.answers import Answers, hidden_items
from dbt_project.sample.baskets import draw_amounts, draw_items
from dbt_project.sample.chain import build_chain
from dbt_project.sample.demand import build_demand
from dbt_project.sample.law import basket_laws

WEEK, TRIPS, PRODUCTS = 9, 100_000, 62


class Drawn:
    """One trip of a tiny chain, drawn many times, beside its law.

    Popular products have complements, one of them from two sides.
    """

    def __init__(self, household: int) -> None:
        chain = build_chain(
            ChainConfig(
                customers=20, products=PRODUCTS, stores=6, weeks=12, behaviour="independent"
            )
        )
        h, stores = chain.households, chain.stores
        top = np.argsort(-chain.catalogue.popularity)
        partner, pull = np.full(PRODUCTS, -1), np.zeros(PRODUCTS)
        partner[top[[0, 1, 3]]], pull[top[[0, 1, 3]]] = top[[2, 2, 4]], (0.35, 0.2, 0.3)
        self.catalogue = c = replace(chain.catalogue, partner=partner, pull=pull)
        self.coupled = set(top[:5].tolist())
        demand = build_demand(c, chain.prices, stores.regions, WEEK)
        store = h.store[h.store_start[household]]
        (self.law,) = basket_laws(WEEK, h, c, demand, np.array([household]), stores.format[[store]])
        trips = np.full(TRIPS, household), np.full(TRIPS, store)
        items = draw_items(5, WEEK, trips, h, c, stores, demand)
        amounts = draw_amounts(5, WEEK, trips, items, c, stores, demand)
        self.trip, self.product = trip, product = items
        self.size = np.bincount(trip, minlength=TRIPS)
        kind = labels.label(
            trip, TRIPS, *amounts, c.group[product], c.mission[product], c.tier[product]
        )
        self.kind = list(zip(*(part.tolist() for part in kind), strict=True))
        self.baskets = [part.tolist() for part in np.split(product, np.cumsum(self.size)[:-1])]


@pytest.fixture(scope="module", params=[0, 3], ids=["small baskets", "large baskets"])
def drawn(request) -> Drawn:
    return Drawn(request.param)


@pytest.fixture(scope="module")
def answers(drawn) -> Answers:
    return Answers(drawn.catalogue, [drawn.law], np.random.default_rng(0), samples=1000)


def test_rates_and_sizes_add_up(drawn):
    assert drawn.law.rate.sum(1) == pytest.approx(np.ones(5))
    assert drawn.law.wanted.sum() == pytest.approx(1)


@pytest.mark.parametrize("items", [1, 2, 3])
def test_sets_are_as_frequent_as_their_probabilities(drawn, items):
    """Sets are chosen in the first half of the baskets and counted in the second."""
    half = TRIPS // 2
    first, second = (
        Counter(frozenset(basket) for basket in part if len(basket) == items)
        for part in (drawn.baskets[:half], drawn.baskets[half:])
    )
    sets = [sorted(found) for found, _ in first.most_common(150)]
    others = np.zeros((len(sets), PRODUCTS), bool)
    last = np.empty(len(sets), int)
    for row, found in enumerate(sets):
        last[row] = found.pop(row % items)  # any of its products is the one more
        others[row, found] = True
        found.append(last[row])
    p = sum(
        law.with_one_more(others, np.tile(given, (len(sets), 1)))[np.arange(len(sets)), last]
        for law, given in zip(drawn.law.sets, drawn.law.wanted.T, strict=True)
    )
    observed = np.array([second[frozenset(found)] for found in sets])
    z = (observed - half * p) / np.sqrt(half * p * (1 - p))
    coupled = np.array([len(drawn.coupled & set(found)) > 0 for found in sets])
    assert coupled.sum() >= 5
    for some in (coupled, ~coupled):
        # A sum of squares of n standard normal numbers: n, give or take the root of 2n.
        assert (z[some] ** 2).sum() < some.sum() + 5 * np.sqrt(2 * some.sum())
    assert observed.sum() == pytest.approx(half * p.sum(), abs=4 * np.sqrt(half * p.sum()))


def frequencies(drawn: Drawn, kind=None) -> tuple[np.ndarray, int]:
    """Mean over trips of the share of each product among a basket's items, and the trips."""
    of = np.array([kind in (None, k) for k in drawn.kind])
    item = of[drawn.trip]
    weights = 1 / drawn.size[drawn.trip[item]]
    return np.bincount(drawn.product[item], weights, PRODUCTS) / of.sum(), int(of.sum())


def test_the_next_basket_is_as_the_chain_draws_it(drawn, answers):
    expected, _ = frequencies(drawn)
    p = answers.next_basket(drawn.law, np.random.default_rng(1))
    assert p.sum() == pytest.approx(1)
    assert np.abs(p - expected).sum() / 2 < 0.015


def test_the_next_basket_of_a_declared_kind_is_as_the_chain_draws_it(drawn, answers):
    everything, _ = frequencies(drawn)
    for kind, _ in Counter(drawn.kind).most_common(12)[::3]:
        expected, trips = frequencies(drawn, kind)
        p = answers.next_basket(drawn.law, np.random.default_rng(1), kind)
        away = np.abs(p - expected).sum() / 2
        assert away < 0.02 + 2 / np.sqrt(trips), kind
        assert away < 0.25 * np.abs(everything - expected).sum() / 2, kind


def test_what_completes_a_basket_is_as_frequent_as_its_probability(drawn, answers):
    """Of every number of hidden items, and of ten visible ones, which leave two hidden."""
    draw, hidden = np.random.default_rng(2), defaultdict(list)
    for kind, basket in zip(drawn.kind, drawn.baskets, strict=True):
        if len(basket) > 1:
            count = hidden_items(len(basket))
            items = draw.permutation(basket).tolist()
            hidden[kind, frozenset(items[count:])].append(items[:count])
    squares = tested = 0
    for shown in (1, 2, 3, 8, 10):
        same = sorted(
            ((rest, *of) for of, rest in hidden.items() if len(of[1]) == shown),
            key=lambda found: -len(found[0]),
        )
        for rest, kind, visible in same[:6]:
            seen = np.zeros(PRODUCTS, bool)
            seen[list(visible)] = True
            p = answers.completion(drawn.law, np.random.default_rng(1), kind, seen)
            assert p.sum() == pytest.approx(1) and not p[seen].any()
            likely = set(np.argsort(-p)[:4].tolist())
            share = [len(likely & set(items)) / len(items) for items in rest]
            wanted = p[list(likely)].sum()
            squares += (np.mean(share) - wanted) ** 2 / (wanted * (1 - wanted) / len(rest))
            tested += 1
    assert tested > 20
    assert squares < tested + 4 * np.sqrt(2 * tested)


def test_completion_hides_what_the_evaluation_hides():
    assert [hidden_items(n) for n in (1, 2, 9, 10, 16, 17)] == [1, 1, 1, 2, 2, 3]
