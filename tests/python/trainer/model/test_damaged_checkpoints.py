"""A damaged checkpoint or state is refused in one line, or is the same to the bit."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict

import numpy as np
import pytest
import torch
from damage import copied, damage_folder, damaged_bytes, damaged_json
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from toy import toy_cache

from trainer.cache.json_files import json_digest
from trainer.cache.reader import CacheError
from trainer.features.chain import Chain
from trainer.features.chain_sales import chain_sales_after
from trainer.features.replay import finished_trips
from trainer.model.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from trainer.model.state import CustomerState
from trainer.model.world_model import create_world_model

REMEDY = re.compile("use another checkpoint$|is no checkpoint$|train again")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=6)


@pytest.fixture(scope="module")
def model(cache):
    torch.manual_seed(0)
    return create_world_model("tiny", cache).eval()


@pytest.fixture(scope="module")
def checkpoints(cache, model, tmp_path_factory):
    """Two of one run, and one of another chain: their files look alike."""
    folder = tmp_path_factory.mktemp("checkpoints")
    state = {"optimiser.bias.step": torch.tensor(3.0), "sums": torch.arange(4.0)}
    progress = {"epoch": 1, "batch": 0, "curves": [{"epoch": 1, "score": 0.25}]}
    save_checkpoint(folder / "last", model, cache, progress, state)
    save_checkpoint(folder / "best", create_world_model("tiny", cache), cache, progress)
    other = toy_cache(folder / "cache", customers=6, seed=1)
    save_checkpoint(folder / "other", create_world_model("tiny", other), other, progress, state)
    return [folder / name for name in ("last", "best", "other")]


def bits(tensors):
    """A digest of named arrays or tensors."""
    digest = hashlib.sha256()
    for name, values in sorted(tensors.items()):
        values = np.asarray(values)
        digest.update(repr((name, values.dtype.str, values.shape)).encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def contents(folder):
    """Everything that anybody can read from a checkpoint, the model's weights included."""
    checkpoint = load_checkpoint(folder)
    vocabulary, model = checkpoint.vocabulary, checkpoint.model()
    facts = (
        asdict(checkpoint.config), checkpoint.features, checkpoint.progress,
        checkpoint.cache_digest, checkpoint.weights_digest, vocabulary.manifest,
    )  # fmt: skip
    columns = {name: vocabulary[name] for name in vocabulary.manifest["columns"]}
    tensors = checkpoint.weights, checkpoint.sales, checkpoint.training, model.state_dict(), columns
    return json_digest(facts), [bits(named) for named in tensors]


@pytest.fixture(scope="module")
def undamaged(checkpoints):
    """What may be read: also another checkpoint that has come whole, for its facts say so."""
    return [contents(folder) for folder in checkpoints]


@examples(100)
@given(data=st.data())
def test_a_damaged_checkpoint_is_refused_or_the_same(checkpoints, undamaged, data):
    first, *others = checkpoints
    folder = copied(first, first.with_name("damaged"))
    damage_folder(data.draw, folder, others)
    try:
        found = contents(folder)
    except (CacheError, CheckpointError) as error:
        (line,) = str(error).splitlines()
        assert line.startswith(str(folder)) and REMEDY.search(line)
    else:
        assert found in undamaged


@pytest.fixture(scope="module")
def chain(cache):
    return Chain(cache, chain_sales_after(cache, 0))


@pytest.fixture(scope="module")
def states(cache, chain, model):
    """Bytes of two customers."""
    written = []
    for trips in ((0, 1, 2), (1, 3)):
        state = CustomerState(chain, (1, 2))
        for trip in finished_trips(cache, np.array(trips)):
            state.observe(trip)
        model.encode([state])
        written.append(state.to_bytes())
    return written


@examples(300)
@given(data=st.data())
def test_a_damaged_state_is_refused_or_the_same(chain, states, data):
    first, second = states
    kind = data.draw(st.sampled_from(["bytes", "header", "body of another"]))
    start = 8 + int.from_bytes(first[:8], "little")
    if kind == "bytes":
        damaged = damaged_bytes(data.draw, first)
    elif kind == "header":
        header = damaged_json(data.draw, first[8:start].decode()).encode("utf-8", "surrogatepass")
        damaged = len(header).to_bytes(8, "little") + header + first[start:]
    else:
        cut = data.draw(st.integers(start, len(first)))
        damaged = first[:cut] + second[cut:]
    try:
        state = CustomerState.from_bytes(damaged, chain)
    except ValueError as error:
        assert str(error).startswith("this is not the state of a customer: ")
        assert len(str(error).splitlines()) == 1
    else:
        assert state.to_bytes() in states
