"""Sampling of previously bought products in training: unbiased importance weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import toy_cache

from trainer.baselines.own_counts import COUNTS, own_counts
from trainer.batches.loaders import EvaluationDataLoader, Masking, WorldModelDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.features.history_sampling import FREQUENT_TRIPS, HistorySampling
from trainer.model.world_model import create_world_model

MIN_PROBABILITY = 0.2


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=20, seed=4)


def questions(cache, min_probability, **options):
    masking = Masking(min_keep_probability=min_probability)
    loader = WorldModelDataLoader(
        WorldModelDataset(cache, "train"), masking=masking, tokens=4000, chunk=8, **options
    )
    return [batch.questions for batch in loader]


def pairs(question, token):
    return set(zip(question.tolist(), token.tolist(), strict=True))


def test_weights_compensate_for_dropped_products():
    """Over many draws the mean weight of every product is one, within five standard errors."""
    recent = np.array([0.0, 0.1, 0.5, 1.0, 1.9, 2.0, 30.0, 0.1])
    targets = np.array([False] * 7 + [True])
    probability = np.array([MIN_PROBABILITY, MIN_PROBABILITY, 0.25, 0.5, 0.95, 1, 1, 1])
    draws, total = 4000, np.zeros(8)
    for seed in range(draws):
        kept, log_weight = HistorySampling(MIN_PROBABILITY, [[seed]]).draw(
            recent, targets, np.array([8])
        )
        np.testing.assert_allclose(np.exp(-log_weight), probability, rtol=1e-6)
        assert kept[probability == 1].all()
        total += kept * np.exp(log_weight)
    error = np.sqrt((1 / probability - 1) / draws)
    assert (np.abs(total / draws - 1) <= 5 * error + 1e-6).all()


@pytest.mark.parametrize("probability", [0.0, -0.1, 1.5])
def test_a_probability_out_of_range_is_refused(cache, probability):
    with pytest.raises(ValueError, match="min_keep_probability: expected a probability"):
        questions(cache, probability)


def test_draws_of_a_timeline_do_not_depend_on_the_others_of_its_batch():
    recent, targets = np.zeros(500), np.zeros(500, dtype=bool)
    both, _ = HistorySampling(MIN_PROBABILITY, [[7], [9]]).draw(
        recent, targets, np.array([200, 300])
    )
    one, _ = HistorySampling(MIN_PROBABILITY, [[9]]).draw(
        recent[:300], targets[:300], np.array([300])
    )
    assert np.array_equal(both[200:], one)
    assert not np.array_equal(both[:200], one[:200])


def test_every_previously_bought_product_is_either_scored_or_dropped(cache):
    for whole, part in zip(questions(cache, 1), questions(cache, MIN_PROBABILITY), strict=True):
        every = pairs(whole.history.products.question, whole.history.products.token)
        scored = pairs(part.history.products.question, part.history.products.token)
        dropped = pairs(part.history.dropped_question, part.history.dropped_token)
        assert scored | dropped == every and not scored & dropped
        assert 0 < len(dropped) < len(every)
        assert not len(whole.history.dropped_token) and not whole.history.log_weight.any()
        targets = pairs(part.target_question, part.target)
        assert not targets & dropped
        often = own_counts(part.history)[:, COUNTS.index("trips 0.95")] >= FREQUENT_TRIPS
        assert often.any() and not part.history.log_weight[often].any()


def test_features_of_scored_products_are_those_without_sampling(cache):
    for whole, part in zip(questions(cache, 1), questions(cache, MIN_PROBABILITY), strict=True):
        one, other = part.history.products, whole.history.products
        row_of = {
            pair: row
            for row, pair in enumerate(
                zip(other.question.tolist(), other.token.tolist(), strict=True)
            )
        }
        scored = zip(one.question.tolist(), one.token.tolist(), strict=True)
        rows = torch.tensor([row_of[pair] for pair in scored])
        for name in ("times", "gaps", "last"):
            assert torch.equal(getattr(one, name), getattr(other, name)[rows]), name
        assert same(one.sequences, other.sequences)
        assert same(part.history.trips, whole.history.trips)
        assert same(part.history.categories, whole.history.categories)
        times = torch.bincount(one.entry, minlength=len(rows))
        assert torch.equal(times.float(), one.times)


def same(one, other):
    """Whether two records are equal to the bit."""
    if one is None:
        return other is None
    return one.__dict__.keys() == other.__dict__.keys() and all(
        torch.equal(value, other.__dict__[name])
        if isinstance(value, torch.Tensor)
        else same(value, other.__dict__[name])
        for name, value in one.__dict__.items()
    )


def test_every_epoch_draws_anew(cache):
    loader = WorldModelDataLoader(
        WorldModelDataset(cache, "train"),
        masking=Masking(min_keep_probability=MIN_PROBABILITY),
        tokens=10**6,
        chunk=8,
    )
    (one,), (two,) = list(loader), list(loader)
    assert len(one.questions.history.dropped_token) != len(two.questions.history.dropped_token)


def test_evaluation_scores_all(cache):
    for batch in EvaluationDataLoader(WorldModelDataset(cache, "test"), "next_known", chunk=8):
        assert not len(batch.questions.dropped_row) and not batch.questions.history.log_weight.any()


def test_logits_include_weights_and_exclude_dropped_products(cache):
    loader = WorldModelDataLoader(
        WorldModelDataset(cache, "train"),
        masking=Masking(min_keep_probability=MIN_PROBABILITY),
        tokens=800,
        chunk=16,
    )
    batch = next(iter(loader))
    model = create_world_model("tiny", cache).eval()
    questions = batch.questions
    with torch.no_grad():
        logits = model(batch).logits
        plain = replace(
            questions,
            history=replace(questions.history, log_weight=questions.history.log_weight * 0),
        )
        without = model(replace(batch, questions=plain)).logits
    question = questions.question[questions.logit]
    for row in range(len(logits)):
        dropped = questions.history.dropped_token[
            questions.history.dropped_question == question[row]
        ]
        assert set((logits[row] == -torch.inf).nonzero().flatten().tolist()) == set(
            dropped.tolist()
        )
        bought = questions.history.products
        history = bought.question == question[row]
        expected = without[row].index_add(
            0, bought.token[history], questions.history.log_weight[history]
        )
        torch.testing.assert_close(logits[row], expected)
