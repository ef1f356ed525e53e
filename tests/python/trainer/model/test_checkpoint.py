"""Checkpoints: what comes back is what was saved, or a clear error."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest
import torch
from damage import edit_json
from safetensors.torch import save_file
from toy import toy_cache, toy_columns, toy_manifest

from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import CacheError, TensorCache
from trainer.cache.schema import COLUMNS
from trainer.cache.writer import write_cache
from trainer.model import checkpoint
from trainer.model.checkpoint import (
    CheckpointError,
    NotFiniteError,
    load_checkpoint,
    load_model,
    save_checkpoint,
)
from trainer.model.world_model import create_world_model


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=8)


@pytest.fixture
def model(cache):
    torch.manual_seed(0)
    model = create_world_model("tiny", cache, torch.randn(cache.products + 10, 256))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()


@pytest.fixture
def saved(model, cache, tmp_path):
    state = {"optimiser.bias.step": torch.tensor(3.0)}
    save_checkpoint(tmp_path / "run" / "last", model, cache, {"epoch": 1}, state)
    return tmp_path / "run" / "last"


def test_a_loaded_model_answers_alike_to_the_bit(model, cache, saved):
    loaded = load_model(saved, cache)
    batch = next(
        iter(EvaluationDataLoader(WorldModelDataset(cache, "test"), "completion", chunk=16))
    )
    with torch.no_grad():
        assert torch.equal(loaded(batch).logits, model(batch).logits)
    checkpoint = load_checkpoint(saved)
    assert checkpoint.progress == {"epoch": 1}
    assert checkpoint.cache_digest == cache.digest
    assert checkpoint.training["optimiser.bias.step"] == 3


def test_the_vocabulary_travels_without_customers(cache, saved):
    vocabulary = load_checkpoint(saved).vocabulary
    assert vocabulary.rows("customers") == vocabulary.rows("trips") == 0
    assert np.array_equal(vocabulary["products.code"], cache["products.code"])
    assert vocabulary.labels == cache.labels and vocabulary.split == cache.split


def test_data_with_new_stores_can_be_scored(cache, saved, tmp_path):
    """As an export --like this checkpoint makes them: known stores first, new ones behind."""
    columns = toy_columns(customers=8)
    for name, values in columns.items():
        if name.startswith("stores."):
            columns[name] = np.concatenate([values, values[-1:]])
    columns["stores.code"] = columns["stores.code"].astype("S9")
    columns["stores.code"][-1] = b"STORE999"
    columns["trips.store"] = np.full_like(columns["trips.store"], len(columns["stores.code"]) - 1)
    write_cache(tmp_path / "like", columns, toy_manifest())
    like = TensorCache(tmp_path / "like")
    model = load_model(saved, like)
    batch = next(
        iter(EvaluationDataLoader(WorldModelDataset(like, "test"), "completion", chunk=16))
    )
    assert (batch.trips.store[:, 2] == 0).all()
    assert model(batch).logits[:, 1:-2].isfinite().all()


@pytest.mark.parametrize("change", ["products", "labels"])
def test_another_vocabulary_is_refused_with_the_remedy(saved, tmp_path, change):
    columns, manifest = toy_columns(customers=8), toy_manifest()
    if change == "products":
        columns["products.code"][3] = "PRDX"
    else:
        manifest["labels"] = manifest["labels"] | {"store_region": ["E01", "N01", "S01", "Z01"]}
    write_cache(tmp_path / "other", columns, manifest)
    with pytest.raises(CheckpointError, match="--like"):
        load_model(saved, TensorCache(tmp_path / "other"))


def edit(saved, change):
    edit_json(saved / "checkpoint.json", change)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda s: (s / "checkpoint.json").unlink(), "is no checkpoint"),
        (lambda s: (s / "checkpoint.json").write_text("{"), "is not JSON"),
        (lambda s: (s / "checkpoint.json").write_text("[]"), "no JSON object"),
        (lambda s: edit(s, lambda f: f.update(format=9)), "this version reads format 6 only"),
        (lambda s: edit(s, lambda f: f.pop("config")), "damaged"),
        (lambda s: edit(s, lambda f: f["config"].update(depth=3)), "damaged"),
        (lambda s: edit(s, lambda f: f["sha256"].pop("model.safetensors")), "names no model"),
        (lambda s: (s / "model.safetensors").unlink(), "model.safetensors does not exist"),
        (lambda s: (s / "model.safetensors").write_bytes(b"\x80"), "model.safetensors is damaged"),
        (
            lambda s: (s / "model.safetensors").write_bytes(
                (s / "model.safetensors").read_bytes()[:-100]
            ),
            "model.safetensors is damaged",
        ),
        (lambda s: edit(s, lambda f: f["config"].update(width=64)), "does not fit its sizes"),
        (lambda s: edit(s, lambda f: f["config"].update(width="x")), "does not fit its sizes"),
        (lambda s: edit(s, lambda f: f["config"].update(heads=0)), "does not fit its sizes"),
        (lambda s: edit(s, lambda f: f["features"].pop("as_of")), "another as_of of the features"),
        (lambda s: edit(s, lambda f: f["features"].update(as_of=5)), "another as_of of the"),
        (lambda s: edit(s, lambda f: f["features"].update(new={})), "another new of the features"),
        (lambda s: edit(s, lambda f: f["constants"].update(NEW=1)), "trained with NEW 1"),
        (
            lambda s: edit(s, lambda f: f.update(vocabulary_digest="x")),
            "not the vocabulary that the checkpoint was saved with",
        ),
        (lambda s: shutil.rmtree(s / "vocabulary"), "manifest.json does not exist"),
    ],
)  # fmt: skip
def test_damage_is_named(cache, saved, damage, message):
    damage(saved)
    with pytest.raises(CheckpointError, match=message):
        load_model(saved, cache)


def test_a_pickle_is_not_loaded(cache, saved):
    """Even where its digest is vouched for."""
    torch.save({"x": torch.zeros(1)}, saved / "model.safetensors")
    vouch(saved, "model.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_model(saved, cache)


def test_other_settings_of_features_are_refused(saved, cache, tmp_path):
    """Of this version (decay of recent sales) and of the warehouse (a var)."""
    columns = {column.name: np.array(cache[column.name]) for column in COLUMNS}
    manifest = toy_manifest()
    manifest["settings"]["switching_weeks"] = 5
    write_cache(tmp_path / "other", columns, manifest)
    with pytest.raises(CheckpointError, match="built with another as_of.switching_weeks than"):
        load_model(saved, TensorCache(tmp_path / "other"))
    edit(saved, lambda facts: facts["features"]["chain_sales"].update(decay=0.5))
    with pytest.raises(CheckpointError, match="with another chain_sales.decay of the features"):
        load_checkpoint(saved).model()


def test_a_cache_of_an_earlier_version_is_refused(saved, cache, tmp_path):
    columns = {column.name: np.array(cache[column.name]) for column in COLUMNS}
    manifest = toy_manifest()
    del manifest["settings"]["full_history_trips"]
    write_cache(tmp_path / "old", columns, manifest)
    with pytest.raises(CacheError, match="lacks a setting of the features .'full_history_trips'"):
        load_model(saved, TensorCache(tmp_path / "old"))


def test_other_constants_are_refused(saved):
    """A formula's constant, and an input in another place: weights keep their sizes under both."""
    edit(saved, lambda facts: facts["constants"].update(VELOCITY_UNIT=0.1))
    with pytest.raises(CheckpointError, match="trained with VELOCITY_UNIT 0.1, this version has"):
        load_checkpoint(saved)
    edit(saved, lambda facts: facts["constants"].update(VELOCITY_UNIT=0.2))
    load_checkpoint(saved)
    edit(saved, lambda facts: facts["constants"]["GAPS"].reverse())
    with pytest.raises(CheckpointError, match="trained with GAPS"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HISTORY_TRIPS", 512), ("DECAY", 0.9), ("SMOOTHING", 30.0),
        ("LIKENESS", ["cosine"]), ("CIRCUMSTANCES", ["hour"]),
    ],
)  # fmt: skip
def test_constants_of_the_memory_of_purchases_are_kept(saved, name, value):
    edit(saved, lambda facts: facts["constants"].update({name: value}))
    with pytest.raises(CheckpointError, match=f"trained with {name}"):
        load_checkpoint(saved)


def vouch(saved, name):
    """Give a file of a checkpoint a digest that is right."""
    digest = hashlib.sha256((saved / name).read_bytes()).hexdigest()
    edit(saved, lambda facts: facts["sha256"].update({name: digest}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_neither_saved_nor_loaded(model, cache, saved, value):
    before = (saved / "model.safetensors").read_bytes()
    state = {"optimiser.bias.step": torch.tensor([1.0, value])}
    with pytest.raises(NotFiniteError, match="not saved, because optimiser.bias.step is not fin"):
        save_checkpoint(saved, model, cache, {"epoch": 2}, state)
    with torch.no_grad():
        model.item.weight[1, 1] = value
    with pytest.raises(NotFiniteError, match="not saved, because item.weight is not finite"):
        save_checkpoint(saved, model, cache, {"epoch": 2})
    assert load_checkpoint(saved).progress == {"epoch": 1}
    assert (saved / "model.safetensors").read_bytes() == before
    for name, tensors in (("training", state), ("model", model.state_dict())):
        save_file(tensors, saved / f"{name}.safetensors")
        vouch(saved, f"{name}.safetensors")
        with pytest.raises(CheckpointError, match=f"{name}.safetensors: .* is not finite"):
            load_checkpoint(saved)


@pytest.mark.parametrize("moment", range(1, 7))
def test_a_checkpoint_replaced_while_it_is_read_is_the_old_or_the_new_one(
    model, cache, saved, monkeypatch, moment
):
    """As that of a run that is being trained: at each moment that a file of it is opened."""
    calls, reads = 0, {name: getattr(checkpoint, name) for name in ("file_digest", "load_file")}

    def replaced_before(name):
        def read(*arguments):
            nonlocal calls
            calls += 1
            if calls == moment:
                with torch.no_grad():
                    model.item.weight += 1
                save_checkpoint(saved, model, cache, {"epoch": 2}, {"x": torch.ones(1)})
            return reads[name](*arguments)

        return read

    old = load_checkpoint(saved)
    for name in reads:
        monkeypatch.setattr(checkpoint, name, replaced_before(name))
    read = load_checkpoint(saved)
    assert calls > moment
    assert read.progress == {"epoch": 2} and read.training.keys() == {"x"}
    assert torch.equal(read.weights["item.weight"], old.weights["item.weight"] + 1)
