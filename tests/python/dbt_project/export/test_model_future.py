"""Predictions do not see the future: change all rows from a week on, rebuild everything from raw
files to logits, and what the model says about earlier trips is the same.
"""

from __future__ import annotations

import pytest
import torch
from futures import cut, scramble

from dbt_project import prepare_tensor_cache
from trainer.batches.loaders import EvaluationDataLoader, VisitDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import TensorCache
from trainer.graph import product_embeddings
from trainer.model.world_model import WorldModel, create_world_model

WEEK = 100  # validation ends before it


def build(cache: TensorCache) -> WorldModel:
    """A model as training would begin with, all statics made from this cache."""
    torch.manual_seed(0)
    vectors = product_embeddings(cache, seed=0, epochs=20, progress=False).vectors
    return create_world_model("tiny", cache, vectors).eval()


def stir(model: WorldModel, other: WorldModel | None = None) -> None:
    """Give weights values that no path can hide behind, or those of another model.

    Weights of one row per product or store differ in size between vocabularies and stay as they
    start: deltas at zero.
    """
    generator = torch.Generator().manual_seed(1)
    given = dict(other.named_parameters()) if other else {}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(("product.", "store.identity", "bias")):
                continue
            if other:
                parameter.copy_(given[name])
            else:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
        model.store.identity.weight.zero_()
        model.product.token_delta.zero_()


def answers(model: WorldModel, cache: TensorCache, task: str) -> dict[bytes, torch.Tensor]:
    """Logits by basket id, of all validation trips; for `visits` what follows them."""
    found, dataset = {}, WorldModelDataset(cache, "validation")
    if task == "visits":
        loader = VisitDataLoader(dataset, tokens=2000, chunk=16)
    else:
        loader = EvaluationDataLoader(dataset, task, tokens=2000, chunk=16)
    with torch.no_grad():
        for batch in loader:
            if task == "visits":
                trips, values = batch.visits.trip, model.visit_nats(batch)
            else:
                trips = batch.questions.trip
                values = model(batch).logits[: len(trips)]
            baskets = cache["trips.basket_id"][batch.trips.row[trips].numpy()].tolist()
            found |= dict(zip(baskets, values, strict=True))
    return found


@pytest.fixture(scope="module")
def before(default_cache):
    model = build(default_cache)
    stir(model)
    return model


@pytest.mark.parametrize("task", ["next_known", "completion", "visits"])
@pytest.mark.parametrize("change", [cut, scramble])
def test_in_the_first_vocabulary_to_the_bit(
    before, default_cache, changed_future, tmp_path, change, task
):
    changed = changed_future(change, WEEK)
    prepare_tensor_cache(changed.path, tmp_path / "cache", like=default_cache.folder)
    cache = TensorCache(tmp_path / "cache")
    expected = answers(before, default_cache, task)
    assert cache.digest != default_cache.digest
    assert len(expected) > 500
    again = build(cache)  # its constants, lifts and embeddings, from the changed data
    for (name, one), other in zip(
        before.state_dict().items(), again.state_dict().values(), strict=True
    ):
        if name not in dict(before.named_parameters()):
            assert torch.equal(one, other), name
    stir(again, before)
    found = answers(again, cache, task)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[basket], expected[basket]) for basket in expected)


def test_in_a_vocabulary_of_its_own(before, default_cache, changed_future, tmp_path):
    """There are more products, and those of before have the tokens that they had: logits agree, up
    to rounding."""
    changed = changed_future(scramble, WEEK)
    prepare_tensor_cache(changed.path, tmp_path / "cache")
    cache = TensorCache(tmp_path / "cache")
    codes = default_cache["products.code"][~default_cache["products.is_novel"]]
    token, other_token = (
        torch.tensor([row_of[code] + 1 for code in codes.tolist()])
        for row_of in (
            {code: row for row, code in enumerate(c["products.code"].tolist())}
            for c in (default_cache, cache)
        )
    )
    assert cache.products > default_cache.products and torch.equal(token, other_token)
    again = build(cache)
    assert torch.equal(before.product.graph[token], again.product.graph[other_token])
    stir(again, before)
    expected, found = (
        answers(model, c, "next_known") for model, c in ((before, default_cache), (again, cache))
    )
    assert found.keys() == expected.keys()
    for basket, logits in expected.items():
        torch.testing.assert_close(found[basket][other_token], logits[token], rtol=1e-4, atol=1e-4)
