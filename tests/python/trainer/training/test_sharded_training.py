"""Training on a cache in two shards is training on the cache, and a process needs its own shard."""

from __future__ import annotations

import json
import os
import shutil
import socket
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from test_trainer import CONFIG, make
from toy import toy_cache

from trainer import fit
from trainer.batches.loaders import Masking, WorldModelDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import TensorCache
from trainer.cache.shards import cut
from trainer.cache.totals import add_up
from trainer.commands.errors import InputError
from trainer.features.calendar import trips_by_week
from trainer.features.visits import RecordedDays
from trainer.model.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from trainer.model.world_model import create_world_model
from trainer.training.config import TrainingConfig
from trainer.training.ranks import Ranks, join_ranks
from trainer.training.shards import COUNTS, open_cache, steps_of

ALONE = Ranks(0, 1, torch.device("cpu"))
EVERYTHING = Masking(1, 1, 1, hide_store=0, min_keep_probability=1)
"""What a batch hides, so that nothing of it is drawn."""
MAIN = 1
"""An epoch with all parts of the loss."""
ALL_AT_ONCE = replace(CONFIG, tokens=1_000_000)
TOKENS = 1000


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("whole") / "cache", customers=40, seed=6)


@pytest.fixture(scope="module")
def folder(whole, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut") / "cache-2"
    cut(whole, 2, folder)
    return folder


@pytest.fixture(scope="module")
def shards(folder):
    """Both shards, as two processes open them."""
    shards = [TensorCache(folder, shard=n) for n in range(2)]
    for count in COUNTS:
        total = sum(count.__wrapped__(shard).astype(float) for shard in shards)
        for shard in shards:
            add_up(shard, [count], lambda own, total=total: total)
    return shards


def of_full_batch(trainer):
    """The loss's parts and the gradients of one batch of everybody, of weights that are all in
    use: at the start of training those of the output are 0."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    trainer.epoch = MAIN
    trainer.model.train()
    (batch,) = trainer.loader(MAIN)
    parts = trainer.gradients(batch)
    gradients = {name: p.grad for name, p in trainer.model.named_parameters()}
    return {name: float(value) for name, value in parts.items()}, gradients


# Two processes


def _rank(rank: int, ports: tuple[int, ...], cut: str, out: str) -> None:
    torch.set_num_threads(1)
    out, view = Path(out), Path(out) / f"machine-{rank}"
    shutil.copytree(cut, view / "cache-2")
    shutil.rmtree(view / "cache-2" / f"shard-{1 - rank}")
    os.chdir(view)
    os.environ |= {
        "RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(ports[0]),
    }  # fmt: skip
    with join_ranks("cpu") as ranks, pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingConfig, "masking", lambda self, epoch: EVERYTHING)
        cache = open_cache(Path("cache-2"), ranks)
        trainer = make(cache, out / "gradients", ALL_AT_ONCE, ranks=ranks, dropout=0)
        state = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        torch.save((state, *of_full_batch(trainer)), out / f"full-batch-{rank}.pt")
    # The second time goes on where the first one ended, and at a port of its own: whoever is done
    # first would else join what the other one has not left yet.
    for port in ports[1:]:
        os.environ["MASTER_PORT"] = str(port)
        arguments = ["--cache", "cache-2", "--out", str(out / "run"), "--preset", "tiny"]
        assert fit.main([*arguments, "--epochs", "1", "--tokens", str(TOKENS)]) == 0


@pytest.fixture(scope="module")
def two(folder, tmp_path_factory):
    """What two processes wrote."""
    out = tmp_path_factory.mktemp("two")
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(3)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        ports = tuple(probe.getsockname()[1] for probe in probes)
    mp.spawn(_rank, args=(ports, str(folder), str(out)), nprocs=2)
    return out


def test_losses_and_gradients_are_those_of_the_whole(whole, two, tmp_path, monkeypatch):
    monkeypatch.setattr(TrainingConfig, "masking", lambda self, epoch: EVERYTHING)
    trainer = make(whole, tmp_path, ALL_AT_ONCE, dropout=0)
    start = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    parts, gradients = of_full_batch(trainer)
    found = [torch.load(two / f"full-batch-{rank}.pt") for rank in range(2)]
    for state, _, _ in found:
        for name, value in start.items():
            torch.testing.assert_close(state[name], value, rtol=1e-6, atol=1e-7, msg=name)
    assert {name for name in parts if not name.endswith("count")} == {
        "focal", "contrastive", "size", "sensitivity", "mission", "visit",
    }  # fmt: skip
    for name, value in parts.items():
        each = [part[name] for _, part, _ in found]
        total = each[0] if name.endswith("count") else sum(each)
        assert total == pytest.approx(value, rel=1e-5), name
    for name, gradient in gradients.items():
        for _, _, others in found:
            difference = float((others[name] - gradient).norm())
            assert difference <= 1e-5 * float(gradient.norm()) + 1e-7, name


def test_a_run_is_one_run_of_that_cache(whole, two):
    rows = [json.loads(line) for line in (two / "run" / "curves.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1]
    assert all(0 < row["score"] < 1 and row["focal"] > 0 for row in rows)
    last = load_checkpoint(two / "run" / "last")
    assert last.cache_digest == whole.digest and last.progress["shards"] == 2
    save_checkpoint(two / "whole", create_world_model("tiny", whole), whole, {})
    assert all(
        np.array_equal(values, last.sales[name])
        for name, values in load_checkpoint(two / "whole").sales.items()
    )


# One process that plays both


def test_what_is_counted_is_counted_over_all(whole, shards):
    torch.manual_seed(0)
    expected = create_world_model("tiny", whole).state_dict()
    for shard in shards:
        for count in COUNTS[:-1]:
            assert np.array_equal(count(shard), count(whole))
            assert count(shard).dtype == count(whole).dtype
        torch.manual_seed(0)
        found = create_world_model("tiny", shard).state_dict()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-7, msg=name)
        days = RecordedDays.of(shard, 20)
        assert np.array_equal(days.recorded, RecordedDays.of(whole, 20).recorded)
    assert any((count.__wrapped__(shards[0]) != count(whole)).any() for count in (trips_by_week,))


def test_ranks_take_equal_steps_and_everybody_once_an_epoch(whole, shards):
    datasets = [WorldModelDataset(shard) for shard in shards]
    size = sum(int((data.trips + data.items).sum()) for data in datasets)
    for tokens in (1, 150, 700, size // 2, size, 10 * size):
        steps = min(max(1, -(-size // tokens)), *map(len, datasets))
        for data in datasets:
            loader = WorldModelDataLoader(data, tokens=tokens, steps=steps)
            assert len(loader) == steps
            chosen = loader._plan()
            assert all(len(part) for part in chosen)
            assert sorted(np.concatenate(chosen).tolist()) == list(range(len(data)))
            even = (data.trips + data.items).sum() / steps
            sizes = [int((data.trips + data.items)[part].sum()) for part in chosen]
            if steps <= 4:
                assert max(sizes) <= even + (data.trips + data.items).max()
    codes = [
        shard["customers.code"][data.customers]
        for shard, data in zip(shards, datasets, strict=True)
    ]
    everybody = whole["customers.code"][WorldModelDataset(whole).customers]
    assert sorted(np.concatenate(codes).tolist()) == everybody.tolist()


@pytest.mark.parametrize("steps", [0, 1000])
def test_steps_out_of_range(whole, steps):
    with pytest.raises(ValueError, match="steps: expected 1 to "):
        WorldModelDataLoader(WorldModelDataset(whole), steps=steps)


def test_steps_by_hand(shards):
    data = WorldModelDataset(shards[0])
    size = int((data.trips + data.items).sum())
    assert [steps_of(data, tokens, ALONE) for tokens in (2 * size, size, size - 1, size // 3)] == [
        1, 1, 2, 4 if size % 3 else 3,
    ]  # fmt: skip
    assert steps_of(data, 1, ALONE) == len(data)


def test_shards_draw_apart(shards, tmp_path):
    """Two shards do not hide the same places of their baskets."""
    seeds = {make(shard, tmp_path).loader(0).seed for shard in shards}
    assert len(seeds) == 2 and CONFIG.seed not in seeds


def test_validation_is_that_of_the_whole(whole, shards):
    """As long as the first shard holds as many customers as are sampled."""
    config = replace(CONFIG, validation_customers=6)
    torch.manual_seed(0)
    model = create_world_model("tiny", whole).eval()
    of_whole, of_shard = (fit.validation(cache, config)(model) for cache in (whole, shards[0]))
    assert of_whole == of_shard and of_whole[0] > 0


# What is wrong is said in one line


@pytest.mark.parametrize(
    "processes, line",
    [
        (1, "cut into 2 shards, and training has one process: start 2 with torchrun, or use the c"),
        (3, "cut into 2 shards, and training has 3 processes: start 2, or cut it again"),
    ],
)
def test_as_many_processes_as_shards(folder, processes, line):
    with pytest.raises(InputError, match=line):
        open_cache(folder, Ranks(0, processes, torch.device("cpu")))


def test_a_whole_cache_is_opened_as_ever(whole):
    for count in (1, 2):
        cache = open_cache(whole.folder, Ranks(0, count, torch.device("cpu")))
        assert (cache.shard, cache.shards, cache.digest) == (None, 1, whole.digest)


def test_the_command_says_it(folder, tmp_path, capsys):
    arguments = ["--cache", str(folder), "--out", str(tmp_path / "run"), "--preset", "tiny"]
    assert fit.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {folder} is cut into 2 shards") and error.count("\n") == 1
    assert fit.main(["--cache", str(tmp_path), *arguments[2:]]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}/manifest.json does not exist")


def test_a_run_on_shards_goes_on_there_alone(whole, shards, tmp_path):
    """Its batches are others on the whole cache, or on another number of shards."""
    config = replace(CONFIG, phases=CONFIG.phases[:1])
    make(shards[0], tmp_path, config).fit()
    assert make(shards[0], tmp_path, config).resume()
    with pytest.raises(CheckpointError, match="on a cache in 2 parts, not 1"):
        make(whole, tmp_path, config).resume()


def test_a_checkpoint_that_another_machine_lacks(whole, tmp_path):
    """The first process went on from its own folder, this one finds nothing in its own."""

    class Second(Ranks):
        def of_first(self, number):
            return 7.0

    trainer = make(whole, tmp_path, ranks=Second(0, 1, torch.device("cpu")))
    with pytest.raises(CheckpointError, match="last is not here as it is on the first process's"):
        trainer.resume()
