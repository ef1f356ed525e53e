"""Batches with a vocabulary of their own: the same logits, and unbiased sums over all products."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from toy import toy_cache

from trainer.batches.candidates import CandidateSampling
from trainer.batches.loaders import Masking, WorldModelDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.vocabulary import PAD
from trainer.model.world_model import create_world_model
from trainer.training.config import FOCAL_ONLY
from trainer.training.losses import WorldModelLoss
from trainer.training.targets import targets

PRODUCTS = 400
MASKING = Masking(rate=0.5, min_keep_probability=0.3)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=10, products=PRODUCTS, seed=2)


@pytest.fixture(scope="module")
def model(cache):
    """All parts away from where they start, at which some are 0."""
    torch.manual_seed(0)
    model = create_world_model("tiny", cache, dropout=0.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return model


def make_loader(cache, negatives=PRODUCTS, **options):
    masking = replace(MASKING, negatives=negatives)
    options = {"tokens": 200, "chunk": 8, "seed": 3} | options
    return WorldModelDataLoader(WorldModelDataset(cache), masking=masking, **options)


def loss(model, batch, dense=False):
    """The loss on items and its gradient by every parameter."""
    model.train()
    model.zero_grad()
    total, _ = WorldModelLoss(FOCAL_ONLY)(model(batch, dense=dense), targets(batch))
    total.backward()
    return total.item(), {
        n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None
    }


def test_weights_compensate_for_products_not_drawn(cache):
    """Over many draws the mean weight of every known product is one, within five standard errors;
    products first sold later are not drawn, and what is read always has a weight of one."""
    sampling, read, draws = CandidateSampling(cache, 60), np.array([3, 200, 201]), 3000
    total = np.zeros(cache.vocabulary.input_size)
    for seed in range(draws):
        candidates = sampling.draw(read, (seed,))
        weight = candidates.log_weight.exp().numpy()
        assert not candidates.log_weight[candidates.places(torch.from_numpy(read))].any()
        total[candidates.predicted.numpy()] += weight
        assert set(cache.vocabulary.specials) < set(candidates.token.tolist())
    probability = np.concatenate([[1], sampling.probability, [1, 1]])
    novel = np.flatnonzero(cache["products.is_novel"]) + 1
    assert not total[novel].any() and not total[cache.vocabulary.size :].any()
    known = np.setdiff1d(np.arange(cache.vocabulary.size), novel)
    error = np.sqrt((1 / probability[known] - 1) / draws)
    assert (np.abs(total[known] / draws - 1) <= 5 * error + 1e-6).all()
    # Half of the draws are uniform: no weight is above 2 N / draws.
    assert sampling.probability[sampling.probability > 0].min() >= 30 / PRODUCTS


def test_logits_are_those_of_the_whole_vocabulary_and_the_weights(cache, model):
    """So every token, count, price and week of the batch is found in its own vocabulary."""
    model.eval()
    loaders = make_loader(cache), make_loader(cache, 40)
    for whole, part in zip(*loaders, strict=True):
        candidates = part.questions.candidates
        assert whole.questions.candidates is None
        assert len(candidates.token) < PRODUCTS
        assert torch.equal(candidates.token[part.items.token], whole.items.token)
        assert torch.equal(candidates.token[part.questions.target], whole.questions.target)
        with torch.no_grad():
            everything, logits = model(whole).logits, model(part).logits
        expected = everything[:, candidates.predicted] + candidates.log_weight
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    assert candidates.log_weight.any()


def test_with_all_products_as_candidates_loss_and_gradients_are_the_same(cache, model):
    whole, part = make_loader(cache), make_loader(cache)
    part.candidate_sampling = CandidateSampling(cache, 10**6)
    for one, other in zip(whole, part, strict=True):
        assert other.questions.candidates is not None
        (expected, gradients), (found, own) = loss(model, one), loss(model, other)
        assert found == pytest.approx(expected, rel=1e-5)
        assert gradients.keys() == own.keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(own[name], gradient, atol=1e-5, rtol=1e-3, msg=name)


def test_in_expectation_the_softmax_is_the_whole_one(cache, model):
    """The mean over draws: of the normaliser, exactly; of loss and gradient, nearly."""
    (whole,) = make_loader(cache, tokens=10**6)
    model.train()
    with torch.no_grad():
        normaliser = model(whole).logits.double().exp().sum(1)
    expected, gradients = loss(model, whole)
    loader = make_loader(cache, 150, tokens=10**6)
    sums, squares, losses = torch.zeros_like(normaliser), torch.zeros_like(normaliser), []
    mean = {name: torch.zeros_like(gradient) for name, gradient in gradients.items()}
    draws = 60
    sampling, seeds = loader.candidate_sampling, iter(range(draws))
    draw = sampling.draw
    sampling.draw = lambda read, seed: draw(read, (next(seeds), 77))  # all else stays the same
    for _ in range(draws):
        loader.load_state_dict({"seed": 3, "epoch": 0, "next": 0})
        (batch,) = loader
        with torch.no_grad():
            total = model(batch).logits.double().exp().sum(1)
        sums, squares = sums + total, squares + total**2
        value, own = loss(model, batch)
        losses.append(value)
        for name, gradient in own.items():
            mean[name] += gradient / draws
    error = ((squares / draws - (sums / draws) ** 2) / draws).sqrt()
    assert (error > 0).all()
    assert ((sums / draws - normaliser).abs() <= 5 * error + 1e-6).all()
    assert np.mean(losses) == pytest.approx(expected, rel=0.01)
    difference = sum((mean[n] - g).square().sum() for n, g in gradients.items())
    assert difference.sqrt() < 0.05 * sum(g.square().sum() for g in gradients.values()).sqrt()


def test_draws_depend_on_seed_epoch_and_batch_alone(cache):
    """So a resumed run has those of an uninterrupted one, and every rank those of one rank."""

    def tokens(batches):
        return [batch.questions.candidates.token.tolist() for batch in batches]

    make = partial(make_loader, cache, 40)
    loader = make()
    first, second = tokens(loader), tokens(loader)
    assert len(first) > 2 and first != second
    resumed = make(workers=1)
    resumed.load_state_dict({"seed": 3, "epoch": 0, "next": 2})
    assert tokens(resumed) == first[2:]
    assert tokens(resumed) == second
    one, *two = make(), *(make(rank=rank, ranks=2) for rank in range(2))
    for index, chosen in enumerate(two[0].plan(np.arange(8))):
        expected = tokens([one.make(chosen, 0, index)])
        assert [tokens([part.make(chosen, 0, index)]) for part in two] == [expected] * 2
    assert tokens(make(seed=4)) != first


def test_a_special_token_is_never_a_target(cache):
    for batch in make_loader(cache, 40):
        vocabulary = batch.questions.candidates.vocabulary
        assert vocabulary.is_product(batch.questions.target).all()
        assert batch.questions.candidates.token[PAD] == PAD
        masks = batch.questions.token[batch.questions.logit[: len(batch.questions.trip)]]
        assert (masks == vocabulary.mask).all()
