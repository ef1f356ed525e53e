"""A small chain, an untrained model, and servers for them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from running import Running, made_up_prices
from toy import toy_cache

from serving.service import Bounds, Service
from trainer.cache.json_files import write_json
from trainer.cache.reader import TensorCache
from trainer.model.checkpoint import save_checkpoint
from trainer.model.world_model import create_world_model


def save_model(folder: Path, cache: TensorCache, seed: int) -> None:
    """A checkpoint of an untrained model whose network says something."""
    torch.manual_seed(seed)
    model = create_world_model("tiny", cache)
    torch.nn.init.normal_(model.output.weight, std=0.3)
    save_checkpoint(folder, model.eval(), cache, {})


@pytest.fixture(scope="session")
def files(shared) -> Path:
    """A folder with `cache`, and the checkpoints `model` and `other`."""

    def make(folder: Path) -> None:
        cache = toy_cache(folder / "cache", trips_of=[9, 4, 30, 1, 17], seed=3)
        save_model(folder / "model", cache, 0)
        save_model(folder / "other", cache, 1)

    return shared("serving", make)


@pytest.fixture(scope="session")
def cache(files) -> TensorCache:
    return TensorCache(files / "cache")


@pytest.fixture(scope="session")
def prices(files, cache) -> Path:
    """A folder as `python -m simulator.prices` writes it: a product with a rival, one that rests on
    others, and one whose price never moved."""
    folder = files / "prices"
    folder.mkdir(exist_ok=True)
    write_json(folder / "prices.json", made_up_prices(cache))
    return folder


@pytest.fixture
def service(files, cache, tmp_path) -> Service:
    """A service that is not started. Its thread's work may be done by hand (`by_hand`)."""
    made = Service(files / "model", cache, tmp_path / "states")
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def server(files, cache, tmp_path_factory):
    """A server for the tests of a file: what they tell it must not be in each other's way."""
    made = Service(files / "model", cache, tmp_path_factory.mktemp("server") / "states")
    with Running(made) as running:
        yield running


@pytest.fixture
def start(files, cache, tmp_path):
    """`start(states=..., key=..., prices=..., **bounds)` is a server of its own."""
    running = []

    def starting(
        states: Path | None = None, key: str | None = None, only_loopback: bool = True,
        last_week: int | None = None, checkpoint: Path | None = None,
        prices: Path | None = None, **bounds,
    ) -> Running:  # fmt: skip
        made = Service(
            checkpoint or files / "model", cache, states or tmp_path / "states", last_week,
            Bounds(**bounds), prices,
        )  # fmt: skip
        running.append(Running(made, key, only_loopback))
        return running[-1].__enter__()

    yield starting
    for each in running:
        each.__exit__()
