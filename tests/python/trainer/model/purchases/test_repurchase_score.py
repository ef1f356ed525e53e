"""Repurchase scores: the learned weights of earlier trips, and that scores start at 0."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from test_counting_prior import history_of
from toy import toy_cache

from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.features.purchase_history import COUNTS, HISTORY, LIKENESS, EarlierTrips
from trainer.model.purchases.similar_trips import AGE, HEADS, SimilarTrips
from trainer.model.world_model import create_world_model

WIDTH = 8


def pairs_of(cache, task="completion"):
    dataset = WorldModelDataset(cache, "test")
    return next(iter(EvaluationDataLoader(dataset, task, chunk=8))).questions


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=20, seed=4)


def test_weights_by_hand():
    # One question, three earlier trips; product 5 on the first and third, product 6 on the second.
    likeness = torch.zeros(3, len(LIKENESS))
    likeness[:, AGE] = torch.tensor([2, 1, 0]) / 20
    likeness[:, LIKENESS.index("cosine")] = torch.tensor([0.5, 0, 0])
    trips = EarlierTrips(
        question=torch.zeros(3, dtype=torch.long), likeness=likeness,
        pair=torch.tensor([0, 1, 2]), entry=torch.tensor([0, 1, 0]),
    )  # fmt: skip
    history = replace(history_of([5, 6], torch.zeros(2, len(COUNTS))), trips=trips)
    counts = SimilarTrips(WIDTH)(history, torch.randn(1, WIDTH))
    first, second = math.exp(-2 / 20 + 4 * 0.5), math.exp(-1 / 20)
    scale = (1 + HISTORY.neighbour_rate + HISTORY.neighbour_rate**2) / (first + second + 1)
    assert counts[0, 0].item() == pytest.approx((first + 1) * scale, rel=1e-5)
    assert counts[1, 0].item() == pytest.approx(second * scale, rel=1e-5)


def test_all_heads_have_the_same_total_weight(cache):
    """Weights of a question's pairs add up to those of decay by trips alone."""
    questions = pairs_of(cache)
    trips, count = questions.history.trips, len(questions.trip)
    pairs = torch.arange(len(trips.question))
    each = EarlierTrips(trips.question, trips.likeness, pairs, pairs)  # a product per trip
    history = history_of([0] * len(pairs), torch.zeros(len(pairs), len(COUNTS)))
    history = replace(history, question=trips.question, trips=each)
    layer = SimilarTrips(WIDTH)
    torch.nn.init.normal_(layer.question.weight)
    weights = layer(history, torch.randn(count, WIDTH))
    totals = torch.zeros(count, len(HEADS)).index_add(0, trips.question, weights)
    back = (trips.likeness[:, AGE] * 20).round()
    expected = torch.zeros(count).index_add(0, trips.question, HISTORY.neighbour_rate**back)
    torch.testing.assert_close(totals, expected[:, None].expand_as(totals), rtol=1e-4, atol=1e-5)


def test_pairs_hold_every_earlier_purchase_once(cache):
    history = pairs_of(cache).history
    times = torch.bincount(history.trips.entry, minlength=len(history.token))
    assert torch.equal(times.float(), history.counts[:, COUNTS.index("trips 1")])
    assert torch.equal(
        history.trips.question[history.trips.pair], history.question[history.trips.entry]
    )


def score_of(model, questions, z):
    share = model.prior.history_shares(questions)
    ratios = model.prior.log_ratios(questions, share).detach()
    lifts = model.prior.log_lifts(questions)
    return model.repurchase(questions, z, model.product.rows(), share, ratios, lifts)


def test_scores_are_those_of_counting_at_the_start(cache):
    model = create_world_model("tiny", cache)
    questions = pairs_of(cache)
    z = torch.randn(len(questions.trip), model.config.width)
    score = score_of(model, questions, z)
    assert score.shape == questions.history.token.shape and not score.any()


def test_gradients_reach_every_weight(cache):
    model = create_world_model("tiny", cache)
    layer = model.repurchase
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    questions = pairs_of(cache)
    z = torch.randn(len(questions.trip), model.config.width, requires_grad=True)
    score = score_of(model, questions, z)
    (score * torch.randn_like(score)).sum().backward()
    assert z.grad.any(1).all()
    assert all(parameter.grad.any() for parameter in layer.parameters())


def test_without_earlier_trips_there_are_no_scores():
    nothing = history_of([], torch.zeros(0, len(COUNTS)))
    assert SimilarTrips(WIDTH)(nothing, torch.randn(3, WIDTH)).shape == (0, len(HEADS))
