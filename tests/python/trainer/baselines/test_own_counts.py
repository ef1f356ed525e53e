"""Counts of earlier purchases: by hand, and against a slow simple count."""

from __future__ import annotations

import math

import numpy as np
import pytest
from histories import by_entry, history
from toy import toy_cache

from trainer.baselines.own_counts import (
    CIRCUMSTANCES_RATE,
    COUNTS,
    DAYS,
    HOURS,
    KIND_GAIN,
    NEIGHBOUR_GAIN,
    NEIGHBOUR_RATE,
    RATES,
    own_counts,
)
from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.schema import CONTEXT


def counted(history):
    return by_entry(history.products, own_counts(history))


def count_of(result, pair, name):
    return counted(result)[pair][COUNTS.index(name)]


def test_counts_by_hand():
    # Product 1 on trips 0 and 2, product 2 on trip 1; the question is trip 3.
    result = counted(history([4], [[1], [2], [1], [3]]))
    assert set(result) == {(1, 1), (2, 1), (2, 2), (3, 1), (3, 2)}
    for column, rate in enumerate(RATES):
        assert result[3, 1][column] == pytest.approx(1 + rate**2)
        assert result[3, 2][column] == pytest.approx(rate)
    # Nothing is visible: the neighbours are the decayed count of their rate.
    assert result[3, 1][-1] == pytest.approx(1 + NEIGHBOUR_RATE**2)


def test_neighbours_by_hand():
    # Of trip 2 product 1 is visible. Cosine with trip 0, {1, 2}: 1 / sqrt(2); with trip 1: 0.
    result = counted(history([3], [[1, 2], [3], [1, 4]], visible=[(2, 1)]))
    near = NEIGHBOUR_RATE * math.exp(NEIGHBOUR_GAIN / math.sqrt(2))
    scale = (1 + NEIGHBOUR_RATE) / (near + 1)
    assert result[2, 2][-1] == pytest.approx(near * scale)
    assert result[2, 3][-1] == pytest.approx(scale)


def test_days_stores_hours_and_kinds_by_hand():
    result = history(
        [3], [[1], [2], [5]],
        day=[0, 30, 90], hour=[9, 20, 11], store=[7, 8, 7],
        kind=[[1, 2, 3, 4], [1, 1, 1, 1], [1, 2, 3, 1]],
    )  # fmt: skip
    first, second = CIRCUMSTANCES_RATE, 1.0
    assert count_of(result, (2, 1), "days") == pytest.approx(math.exp(-90 / DAYS))
    assert count_of(result, (2, 2), "days") == pytest.approx(math.exp(-60 / DAYS))
    assert count_of(result, (2, 1), "store") == pytest.approx(first)
    assert count_of(result, (2, 2), "store") == 0
    assert count_of(result, (2, 1), "hour") == pytest.approx(first * math.exp(-2 / HOURS))
    assert count_of(result, (2, 2), "hour") == pytest.approx(second * math.exp(-9 / HOURS))
    # Three and two of four columns agree.
    near, far = first * math.exp(3 * KIND_GAIN), second * math.exp(2 * KIND_GAIN)
    scale = (first + second) / (near + far)
    assert count_of(result, (2, 1), "kind") == pytest.approx(near * scale)
    assert count_of(result, (2, 2), "kind") == pytest.approx(far * scale)


def test_a_hidden_kind_and_an_unknown_store_match_nothing():
    kinds = [[1, 2, 3, 4]] * 2 + [[1, 1, 1, 1]]
    hidden = history(
        [3], [[1], [2], [5]], kind=kinds, visible_kind=np.zeros((3, 4)), store=[0, 0, 0]
    )
    assert count_of(hidden, (2, 1), "kind") == pytest.approx(CIRCUMSTANCES_RATE)
    assert count_of(hidden, (2, 2), "kind") == pytest.approx(1)
    assert count_of(hidden, (2, 1), "store") == count_of(hidden, (2, 2), "store") == 0


def test_an_unknown_visible_item_lowers_the_cosine():
    # Two visible items, one of them never bought before: cosine 1 / sqrt(2 * 1).
    result = counted(history([3], [[1], [2], [1, 5]], visible=[(2, 1), (2, 5)]))
    near = NEIGHBOUR_RATE * math.exp(NEIGHBOUR_GAIN / math.sqrt(2))
    assert result[2, 1][-1] / result[2, 2][-1] == pytest.approx(near)


def test_without_earlier_trips_there_is_nothing_to_count():
    assert own_counts(history([1, 1], [[1], [2]])).shape == (0, len(COUNTS))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=20, seed=4)


@pytest.mark.parametrize("task", ["next_unknown", "completion"])
def test_a_slow_simple_count_agrees(cache, task):
    basket = [
        set(cache["items.token"][a:b].tolist())
        for a, b in zip(
            cache["trips.item_offsets"][:-1], cache["trips.item_offsets"][1:], strict=True
        )
    ]
    first = cache["customers.trip_offsets"].astype(int)
    day, hour = cache["trips.day"].astype(int), cache["trips.hour"].astype(int)
    store = cache["trips.store"].astype(int)
    is_novel = cache["stores.is_novel"][store]
    kinds = np.stack([cache[f"trips.{name}"] for name in CONTEXT], axis=1).tolist()
    dataset = WorldModelDataset(cache, "test")
    for batch in EvaluationDataLoader(dataset, task, tokens=800, chunk=8):
        q = batch.questions
        got = counted(q.history)
        for index, trip in enumerate(q.trip.tolist()):
            row = int(batch.trips.row[trip])
            begin = first[np.searchsorted(first, row, side="right") - 1]
            visible = set(q.token[q.question == index][1:].tolist())
            kind = batch.trips.context[trip] * (task != "next_unknown")
            sums, gained, plain = {}, np.zeros(2), np.zeros(2)
            for earlier in range(begin, row):
                age = row - 1 - earlier
                shared = len(visible & basket[earlier])
                cosine = shared / math.sqrt(max(1, len(visible) * len(basket[earlier])))
                days = day[row] - day[earlier]
                hours = abs(hour[row] - hour[earlier])
                agree = sum(a == b > 0 for a, b in zip(kind.tolist(), kinds[earlier], strict=True))
                power = CIRCUMSTANCES_RATE**age
                near = np.array([power, NEIGHBOUR_RATE**age])
                gain = near * np.exp([KIND_GAIN * agree, NEIGHBOUR_GAIN * cosine])
                plain, gained = plain + near, gained + gain
                weight = [rate**age for rate in RATES]
                weight += [
                    math.exp(-days / DAYS),
                    power * (store[row] == store[earlier] and not is_novel[row]),
                ]
                weight += [power * math.exp(-hours / HOURS), *gain]
                for product in basket[earlier]:
                    sums[product] = sums.get(product, 0) + np.array(weight)
            assert {token for question, token in got if question == index} == set(sums)
            for product, expected in sums.items():
                expected[-2:] *= plain / gained
                np.testing.assert_allclose(got[index, product], expected, rtol=1e-4, atol=1e-6)
