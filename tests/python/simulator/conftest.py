"""A toy chain with an untrained model, whose simulation is fast."""

from __future__ import annotations

import pytest
import torch
from toy import toy_cache
from toy_start import START

from simulator.simulation import Simulator
from trainer.model.world_model import create_world_model


@pytest.fixture(scope="session")
def chain(tmp_path_factory):
    """`cache, model` of 60 customers."""
    cache = toy_cache(tmp_path_factory.mktemp("simulator") / "cache", trips_of=[30] * 60, seed=4)
    torch.manual_seed(0)
    model = create_world_model("tiny", cache).eval()
    with torch.no_grad():
        model.output.weight.normal_(std=0.02)
    return cache, model


@pytest.fixture(scope="session")
def simulator(chain):
    """All customers, as of `START`."""
    cache, model = chain
    return Simulator(model, cache, START)
