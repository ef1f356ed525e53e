"""What was bought before, by product and by category: by hand, and never of a later trip."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from histories import CATEGORY, VOCABULARY, by_entry, history

from trainer.features.history_sampling import HistorySampling


def test_gaps_by_hand():
    # Product 1 on days 2, 5 and 12, product 2 on day 5; the question is day 20.
    bought = history([4], [[1], [1, 2], [1], [3]], day=[2, 5, 12, 20]).products
    gaps = by_entry(bought, bought.gaps)
    assert gaps[3, 1] == [8, 0, 18, 5]
    assert gaps[3, 2] == [15, 1, 15, -1]
    assert gaps[2, 1] == [7, 0, 10, 3]


def test_timelines_do_not_mix_and_unknown_products_are_left_out():
    result = history([2, 2], [[1], [2], [3, VOCABULARY.fallback(0)], [4]])
    assert set(by_entry(result.products, result.products.times)) == {(1, 1), (3, 3)}
    # A category counts a trip once, also where two of its products, one unknown, were bought.
    assert by_entry(result.categories, result.categories.times) == {(1, 0): 1, (3, 0): 1}


def test_finding_entries():
    bought = history([2, 3], [[1, 2], [2], [3], [1, 4], [3, 5]]).products
    # Questions 1, 3 and 4 have entries (1, 1), (1, 2), (3, 3), (4, 1), (4, 3), (4, 4).
    question, token = torch.tensor([1, 4, 1, 4, 0, 4]), torch.tensor([2, 4, 3, 9, 1, 1])
    found, entry = bought.find(question, token)
    assert found.tolist() == [0, 1, 5]
    pairs = zip(bought.question[entry].tolist(), bought.token[entry].tolist(), strict=True)
    assert list(pairs) == [(1, 2), (4, 4), (4, 1)]


def test_nothing_is_found_where_there_is_nothing():
    one = torch.tensor([0])
    for bought in (history([1], [[1]]).products, history([2], [[1], [2]]).products):
        found, entry = bought.find(one, one)
        assert len(found) == len(entry) == 0
        found, entry = bought.find(one[:0], one[:0])
        assert len(found) == len(entry) == 0


def test_only_target_trips_have_entries():
    result = history([3], [[1], [2], [3]], is_target=[False, False, True])
    assert by_entry(result.products, result.products.times) == {(0, 1): 1, (0, 2): 1}
    assert by_entry(result.categories, result.categories.times) == {(0, 0): 2}


def test_this_trip_and_later_ones_do_not_count():
    past = [[1, 2], [2], [3, 4]]

    def entries(baskets, bought="products"):
        result = getattr(history([len(baskets)], baskets), bought)
        return by_entry(result, torch.cat([result.times[:, None], result.gaps], dim=1))

    for bought in ("products", "categories"):
        one = entries([*past, [5]], bought)
        assert one == entries([*past, [1, 2, 3, 6, 7]], bought)
        earlier = {pair: values for pair, values in one.items() if pair[0] < 2}
        assert earlier and earlier == entries(past[:2], bought)


def test_categories_by_hand():
    # Category 0 on days 0, 3 and 7 (twice on the last), category 1 on day 3 alone.
    unknown = VOCABULARY.fallback(1)
    result = history([4], [[1], [2, unknown], [1, 3], [6]], day=[0, 3, 7, 9])
    above = result.categories
    assert by_entry(above, above.times) == {
        (1, 0): 1, (2, 0): 2, (2, 1): 1, (3, 0): 3, (3, 1): 1
    }  # fmt: skip
    gaps = by_entry(above, above.gaps)
    assert gaps[3, 0] == [2, 0, 9, 3.5]
    assert gaps[3, 1] == [6, 1, 6, -1]
    # Every product points at the category it is of, of the same question.
    products = result.products
    of_category = above.token[result.category].tolist()
    assert of_category == CATEGORY[products.token].tolist()
    assert torch.equal(above.question[result.category], products.question)
    # Purchases of a category: one per trip with any of its products.
    sequences = above.sequences
    assert sequences.token.tolist() == [0, 0, 0, 1, 1]
    assert sequences.gaps.tolist() == [[-1, -1], [3, 1], [4, 1], [-1, -1], [6, 2]]
    assert by_entry(above, above.last) == {(1, 0): 0, (2, 0): 1, (2, 1): 3, (3, 0): 2, (3, 1): 3}


def test_products_that_are_not_drawn_still_count_for_their_category():
    baskets = [[1, 2, 3, 4, 5, 6, 7, 8, 9]] * 4
    whole = history([4], baskets)
    part = history([4], baskets, sampling=HistorySampling(0.01, [[0]]))
    assert 0 < len(part.products.token) < len(whole.products.token)
    for name in ("question", "token", "times", "gaps", "pair", "entry", "last"):
        assert torch.equal(getattr(part.categories, name), getattr(whole.categories, name)), name
    assert part.categories.token[part.category].tolist() == CATEGORY[part.products.token].tolist()


@pytest.mark.parametrize("seed", range(5))
def test_everything_is_of_earlier_trips(seed):
    """Random timelines: each entry's purchases, the last of them, and when that was."""
    draw = np.random.default_rng(seed)
    timelines = draw.integers(1, 12, 6).tolist()
    trips = sum(timelines)
    tokens = (VOCABULARY.categories != CATEGORY).nonzero()[0]
    baskets = [draw.choice(tokens, draw.integers(1, 6), replace=False) for _ in range(trips)]
    is_target = draw.random(trips) < 0.6
    timeline = np.repeat(np.arange(len(timelines)), timelines)
    day = np.arange(trips) * 2  # of each trip another
    result = history(timelines, baskets, is_target, day=day)
    target_trip = np.flatnonzero(is_target)

    # What each purchase is of, counted slowly: by timeline and token, then by time.
    def purchases(of):
        return sorted({(timeline[t], of[token], t) for t in range(trips) for token in baskets[t]})

    for bought, of in ((result.products, np.arange(len(CATEGORY))), (result.categories, CATEGORY)):
        every = purchases(of)
        assert bought.sequences.token.tolist() == [token for _, token, _ in every]
        expected = {}
        for place, (customer, token, trip) in enumerate(every):
            if of is not CATEGORY and not VOCABULARY.is_product(token):
                continue
            for question, target in enumerate(target_trip):
                if customer == timeline[target] and trip < target:
                    expected.setdefault((question, token), []).append((place, trip))
        assert by_entry(bought, bought.times) == {e: len(p) for e, p in expected.items()}
        assert by_entry(bought, bought.last) == {e: p[-1][0] for e, p in expected.items()}
        entries = list(by_entry(bought, bought.times))
        seen = {entry: [] for entry in entries}
        for pair, entry in zip(bought.pair.tolist(), bought.entry.tolist(), strict=True):
            assert int(result.trips.question[pair]) == entries[entry][0]
            back = round(20 * float(result.trips.likeness[pair, 0]))
            seen[entries[entry]].append(target_trip[entries[entry][0]] - 1 - back)
        assert seen == {entry: [trip for _, trip in p] for entry, p in expected.items()}
