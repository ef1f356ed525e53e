"""Weights of earlier trips: by hand, and their sums."""

from __future__ import annotations

import math

import pytest
import torch
from histories import by_entry, history
from toy import toy_cache

from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.features.purchase_history import LIKENESS, EarlierTrips
from trainer.model.purchases.similar_trips import (
    AGE,
    DECAY,
    HEADS,
    SimilarTrips,
    weighted_counts,
)

WIDTH = 8


def test_weights_by_hand():
    # One question, three earlier trips; product 5 on the first and third, product 6 on the second.
    likeness = torch.zeros(3, len(LIKENESS))
    likeness[:, AGE] = torch.tensor([2, 1, 0]) / 20
    likeness[:, LIKENESS.index("cosine")] = torch.tensor([0.5, 0, 0])
    trips = EarlierTrips(torch.zeros(3, dtype=torch.long), likeness)
    bought = history([4], [[5], [6], [5], [1]], [False] * 3 + [True]).products
    weights = SimilarTrips(WIDTH)(trips, torch.randn(1, WIDTH))
    counts = by_entry(bought, weighted_counts(bought, weights)[:, 0])
    first, second = math.exp(-2 / 20 + 6 * 0.5), math.exp(-1 / 20)
    scale = (1 + DECAY + DECAY**2) / (first + second + 1)
    assert counts[0, 5] == pytest.approx((first + 1) * scale, rel=1e-5)
    assert counts[0, 6] == pytest.approx(second * scale, rel=1e-5)


def test_all_heads_have_the_same_total_weight(tmp_path):
    """Weights of a question's pairs add up to those of decay by trips alone."""
    dataset = WorldModelDataset(toy_cache(tmp_path / "cache", customers=20, seed=4), "test")
    questions = next(iter(EvaluationDataLoader(dataset, "completion", chunk=8))).questions
    trips, count = questions.history.trips, len(questions.trip)
    layer = SimilarTrips(WIDTH)
    torch.nn.init.normal_(layer.question.weight)
    weights = layer(trips, torch.randn(count, WIDTH))
    totals = torch.zeros(count, len(HEADS)).index_add(0, trips.question, weights)
    back = (trips.likeness[:, AGE] * 20).round()
    expected = torch.zeros(count).index_add(0, trips.question, DECAY**back)
    torch.testing.assert_close(totals, expected[:, None].expand_as(totals), rtol=1e-4, atol=1e-5)


def test_a_category_counts_a_trip_once():
    result = history([3], [[1, 2], [1], [6]], [False, False, True])
    weights = torch.tensor([[2.0], [5.0]])
    products = by_entry(result.products, weighted_counts(result.products, weights))
    assert products == {(0, 1): [7.0], (0, 2): [2.0]}
    assert by_entry(result.categories, weighted_counts(result.categories, weights)) == {
        (0, 0): [7.0]
    }


def test_without_earlier_trips_there_are_no_weights():
    nothing = history([1, 1, 1], [[1], [2], [3]])
    weights = SimilarTrips(WIDTH)(nothing.trips, torch.randn(3, WIDTH))
    assert weights.shape == (0, len(HEADS))
    assert weighted_counts(nothing.products, weights).shape == (0, len(HEADS))
