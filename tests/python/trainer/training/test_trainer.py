"""Training: phases, resuming, several processes, and that something is learnt."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from damage import edit_json
from safetensors import SafetensorError
from toy import TRAIN_LAST, toy_cache

from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.model import checkpoint
from trainer.model.checkpoint import CheckpointError, NotFiniteError, load_checkpoint
from trainer.model.world_model import create_world_model
from trainer.training import SCHEDULES, Phase, Trainer, TrainingConfig
from trainer.training import trainer as loop
from trainer.training.config import FOCAL_ONLY, three_phases
from trainer.training.precision import Precision
from trainer.training.ranks import Ranks, join_ranks

CONFIG = TrainingConfig(
    model="tiny",
    phases=three_phases(2e-3, (1, 1, 1)),
    tokens=300,
    checkpoint_seconds=0,
    seed=3,
    precision="float32",  # the same on every processor
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=24, seed=6)


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(loop, "CHECK_BATCHES", 2)


def fixed_score(model):
    return 0.5, {}


def make(cache, folder, config=CONFIG, validate=fixed_score, ranks=None, **changes):
    torch.manual_seed(config.seed)
    model = create_world_model(config.model, cache, **changes)
    return Trainer(model, cache, config, folder, validate, ranks, progress=False)


# Schedule


def test_the_design_s_three_phases():
    config = SCHEDULES["base"]
    names = [config.phase(epoch)[0].name for epoch in range(config.epochs)]
    assert names == ["warm-up"] * 3 + ["main"] * 12 + ["fine-tune"] * 5
    warm_up, main, fine_tune = config.phases
    assert warm_up.losses == FOCAL_ONLY and main.losses.contrastive == 0.2
    assert (warm_up.mask_rate, main.mask_rate, fine_tune.mask_rate) == (0.15, 0.15, 0.2)
    assert (fine_tune.batch, fine_tune.clip) == (0.5, 0.5)
    original = SCHEDULES["original"]
    assert [original.learning_rate(epoch, 0.5) for epoch in (0, 5, 19)] == [1e-5, 5e-5, 1e-5]


def test_learning_rate_by_hand():
    config = replace(CONFIG, phases=(Phase("a", 2, 1.0, 3.0), Phase("b", 1, 0.5, 0.1)))
    rates = [config.learning_rate(*at) for at in [(0, 0), (0, 0.5), (1, 0), (2, 0), (2, 0.5)]]
    assert rates == pytest.approx([1, 1.5, 2, 0.5, 0.3])
    with pytest.raises(ValueError, match="epoch 3 of 3"):
        config.phase(3)


def test_configurations_survive_json():
    for config in SCHEDULES.values():
        assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda v: v.pop("tokens"), "fields of TrainingConfig: missing: tokens"),
        (lambda v: v.update(least_own=1), "fields of TrainingConfig: unknown: least_own"),
        (lambda v: v["phases"][1].pop("clip"), "fields of Phase: missing: clip"),
        (
            lambda v: v["phases"][0]["losses"].update(focal_=v["phases"][0]["losses"].pop("focal")),
            "fields of LossWeights: missing: focal; unknown: focal_",
        ),
        (lambda v: v.pop("phases"), "not a training configuration"),
        (lambda v: v.update(phases=3), "not a training configuration"),
        (lambda v: v.update(tokens="many"), "not a training configuration"),
        (lambda v: v.update(tokens=0), "tokens: expected at least 1"),
    ],
)
def test_a_saved_configuration_that_does_not_fit_is_one_error(edit, message):
    values = CONFIG.to_dict() | {"phases": [asdict(phase) for phase in CONFIG.phases]}
    edit(values)
    with pytest.raises(ValueError, match=message):
        TrainingConfig.from_dict(values)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"phases": ()}, "phases"),
        ({"tokens": 0}, "tokens"),
        ({"patience": 0}, "patience"),
        ({"averaging": 1}, "averaging: expected from 0 to below 1, not 1"),
        ({"validation_customers": 0}, "validation_customers"),
    ],
)
def test_bad_configurations_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)
    with pytest.raises(ValueError, match="main: epochs"):
        Phase("main", 0, 1e-3, 1e-3)


def test_phases_change_what_happens(cache, tmp_path, monkeypatch):
    """Warm-up leaves the heads of the other losses as they were; masks and batches change."""
    steps = []
    trainer = make(cache, tmp_path)
    step, clip = trainer.step, torch.nn.utils.clip_grad_norm_
    clips = []

    def watch(batch):
        before = trainer.model.trip_kind.weight.clone()
        parts = step(batch)
        moved = not torch.equal(before, trainer.model.trip_kind.weight)
        rate = trainer.optimiser.param_groups[0]["lr"]
        steps.append((trainer.epoch, moved, clips[-1], rate))
        return parts

    def record(parameters, norm):
        clips.append(norm)
        return clip(parameters, norm)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", record)
    trainer.step = watch
    curves = trainer.fit()
    warm_up, main, fine_tune = ([s for s in steps if s[0] == epoch] for epoch in range(3))
    assert not any(moved for _, moved, *_ in warm_up)
    assert all(moved for _, moved, *_ in main)
    assert {s[2] for s in main} == {1.0} and {s[2] for s in fine_tune} == {0.5}
    assert len(fine_tune) > 1.5 * len(main)
    assert [s[3] for s in warm_up] == sorted(s[3] for s in warm_up)
    assert [row["phase"] for row in curves] == ["warm-up", "main", "fine-tune"]
    assert "contrastive" not in curves[0] and curves[1]["contrastive"] > 0


def test_a_phase_may_ask_about_the_last_weeks_only(cache, tmp_path):
    phases = (Phase("all", 1, 1e-3, 1e-3), Phase("late", 1, 1e-3, 1e-3, recent=0.3))
    trainer = make(cache, tmp_path, replace(CONFIG, phases=phases))
    step, weeks = trainer.step, ([], [])

    def watch(batch):
        weeks[trainer.epoch].append(cache["trips.week"][batch.trips.row[batch.questions.trip]])
        return step(batch)

    trainer.step = watch
    trainer.fit()
    every, late = (np.concatenate(part) for part in weeks)
    assert (every.min(), late.min(), late.max()) == (1, TRAIN_LAST - 5, TRAIN_LAST)
    assert len(late) == (every >= TRAIN_LAST - 5).sum()
    with pytest.raises(ValueError, match="recent"):
        Phase("none", 1, 1e-3, 1e-3, recent=0)


def test_golden_losses(cache, tmp_path):
    """A fixed seed gives these losses: another figure is another model or another training."""
    curves = make(cache, tmp_path).fit()
    losses = [tuple(row.get(part, 0) for part in ("focal", "mission", "visit")) for row in curves]
    assert losses == [pytest.approx(golden, rel=2e-3) for golden in GOLDEN]


GOLDEN = [(3.0360, 0, 0), (2.9906, 1.5073, 10.982), (2.9513, 1.5799, 10.4355)]


# Checkpoints and resuming


def weights(folder):
    return load_checkpoint(folder).weights


def assert_same_run(one: Path, other: Path):
    for name in ("last", "best"):
        a, b = weights(one / name), weights(other / name)
        assert all(torch.equal(a[key], b[key]) for key in a), name
    first, second = (load_checkpoint(folder / "last") for folder in (one, other))
    assert all(torch.equal(first.training[key], second.training[key]) for key in first.training)
    timeless = [
        [
            {k: v for k, v in row.items() if k not in ("seconds", "items_per_s")}
            for row in run.progress["curves"]
        ]
        for run in (first, second)
    ]
    assert timeless[0] == timeless[1]


def test_a_step_is_that_of_training_and_its_parts_are_the_loss(cache, tmp_path):
    trainer, by_hand = (make(cache, tmp_path / name) for name in ("fit", "by_hand"))
    phase = CONFIG.phases[0]
    trainer.config = replace(CONFIG, phases=(phase,))
    row = trainer.fit()[0]
    total = count = 0.0
    by_hand.model.train()
    loader = by_hand.loader(0)
    for number, batch in enumerate(loader):
        for group in by_hand.optimiser.param_groups:
            group["lr"] = CONFIG.learning_rate(0, number / len(loader)) * group["factor"]
        torch.manual_seed(loop.draw_seed(CONFIG.seed, 0, number, 0))
        parts = by_hand.step(batch)
        assert set(parts) == {"focal", "focal_count"}  # warm-up has one loss
        total += float(parts["focal"].double() * parts["focal_count"])
        count += float(parts["focal_count"])
    assert row["focal"] == total / count
    for one, other in zip(trainer.model.parameters(), by_hand.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_gradients_alone_change_no_weight(cache, tmp_path):
    trainer = make(cache, tmp_path)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.gradients(next(iter(trainer.loader(0))))
    assert all(torch.equal(before[k], v) for k, v in trainer.model.state_dict().items())
    assert any(p.grad is not None and p.grad.any() for p in trainer.model.parameters())


def test_a_run_copied_without_links_goes_on(cache, tmp_path):
    """As `last` and `best` were links in earlier versions, and are none in a copy."""
    make(cache, tmp_path / "run", dropout=0).fit()
    assert not any(path.is_symlink() for path in (tmp_path / "run").iterdir())
    for copied in (False, True):
        folder = tmp_path / f"copied-{copied}"
        folder.mkdir()
        for name in ("last", "best"):
            place = folder / (name if copied else f"{name}-003-000000")
            shutil.copytree(tmp_path / "run" / name, place)
            if not copied:
                (folder / name).symlink_to(place.name, target_is_directory=True)
        trainer = make(cache, folder, dropout=0)
        assert trainer.resume() and trainer.epoch == 3
        trainer._save(3, 0)
        assert_same_run(tmp_path / "run", folder)
        trainer.start_over()
        assert not (folder / "last").exists() and not trainer.resume()


def test_a_run_copied_without_its_best_does_not_go_on(cache, tmp_path):
    """It may have been better than all that follow."""
    make(cache, tmp_path / "run", dropout=0).fit()
    shutil.copytree(tmp_path / "run" / "last", tmp_path / "copied" / "last")
    with pytest.raises(CheckpointError, match="best, the best of 3 epochs, is missing"):
        make(cache, tmp_path / "copied", dropout=0).resume()


class Killed(BaseException):
    """Nothing in the program catches it."""


@pytest.mark.parametrize("after", [1, 4, 9, 14])
def test_a_resumed_run_is_an_uninterrupted_one(cache, tmp_path, after):
    make(cache, tmp_path / "fully_hidden").fit()
    trainer = make(cache, tmp_path / "cut")
    step, done = trainer.step, 0

    def until(batch):
        nonlocal done
        if done == after:
            raise Killed
        done += 1
        return step(batch)

    trainer.step = until
    with pytest.raises(Killed):
        trainer.fit()
    again = make(cache, tmp_path / "cut")
    assert again.resume() == (after >= 2)
    again.fit()
    assert_same_run(tmp_path / "fully_hidden", tmp_path / "cut")


SCRIPT = """
import sys
sys.path[:0] = {tests!r}
import torch
from test_trainer import CONFIG, make, loop
from trainer.cache.reader import TensorCache
loop.CHECK_BATCHES = 2
torch.set_num_threads(1)
trainer = make(TensorCache({cache!r}), __import__("pathlib").Path(sys.argv[1]))
trainer.resume()
print("ready", flush=True)
trainer.fit()
"""


def test_killing_the_process_at_any_moment_changes_nothing(cache, tmp_path):
    script = SCRIPT.format(
        tests=[str(Path(__file__).parents[up]) for up in (0, 1)], cache=str(cache.folder)
    )

    def start(folder):
        return subprocess.Popen(
            [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True
        )

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    make(cache, tmp_path / "fully_hidden").fit()
    torch.set_num_threads(threads)
    kills = 0
    for delay in (0.15, 0.4, 0.7):
        process = start(tmp_path / "cut")
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    process = start(tmp_path / "cut")
    assert process.wait() == 0
    assert kills > 0
    assert_same_run(tmp_path / "fully_hidden", tmp_path / "cut")


def test_best_is_the_best_and_patience_ends(cache, tmp_path):
    scores = iter([0.1, 0.3, 0.2, 0.25, 0.3, 0.1, 0.9])
    config = replace(CONFIG, phases=(Phase("main", 9, 1e-3, 1e-3),), patience=3)
    trainer = make(cache, tmp_path, config, lambda model: (next(scores), {"x": 1.0}))
    curves = trainer.fit()
    assert [row["score"] for row in curves] == [0.1, 0.3, 0.2, 0.25, 0.3]
    assert load_checkpoint(tmp_path / "best").progress["epoch"] == 2
    assert load_checkpoint(tmp_path / "last").progress["epoch"] == 5
    lines = [json.loads(line) for line in (tmp_path / "curves.jsonl").read_text().splitlines()]
    assert lines == curves


@pytest.mark.parametrize(
    "scores, epochs",
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        # Of the last phase: two epochs without a better one.
        ([1, 2, 3, 4, 5, 5, 4], [1, 2, 3, 4, 5, 6, 7]),
        # Of the first: the second begins at once, and has two epochs before it is judged.
        ([1, 3, 2, 2, 2, 2], [1, 2, 3, 4, 5, 6]),
        ([3, 2, 2, 2, 2], [1, 2, 3, 5, 6]),
        ([3, 2, 2, 2, 4, 5, 5, 5], [1, 2, 3, 5, 6, 7, 8, 9]),
    ],
)
def test_a_phase_ends_where_validation_does_not_gain(cache, tmp_path, scores, epochs):
    """Rates are those of the epochs that remain; a run that is resumed after each epoch agrees."""
    phases = (Phase("main", 4, 1e-3, 5e-4), Phase("late", 5, 5e-4, 1e-4))
    config = replace(CONFIG, phases=phases, patience=2, tokens=5000)
    rows = []

    class Stop(BaseException):
        pass

    for number in range(len(scores) + 1):
        trainer = make(cache, tmp_path, config, lambda model, done=number: (scores[done], {}))
        assert trainer.resume() == bool(rows)

        def save_and_stop(*arguments, save=trainer._save):
            save(*arguments)
            raise Stop

        trainer._save = save_and_stop
        try:
            trainer.fit()
        except Stop:
            pass
        else:
            break
        rows = trainer.curves
    assert [row["epoch"] for row in rows] == epochs
    assert [row["score"] for row in rows] == scores
    for row in rows:
        assert row["phase"] == config.phase(row["epoch"] - 1)[0].name
        last_batch = 1 - 1 / len(trainer.loader(row["epoch"] - 1))
        rate = config.learning_rate(row["epoch"] - 1, last_batch)
        assert row["learning_rate"] == pytest.approx(rate)


def test_another_cache_or_configuration_cannot_go_on(cache, tmp_path):
    make(cache, tmp_path / "run", replace(CONFIG, phases=CONFIG.phases[:1])).fit()
    with pytest.raises(CheckpointError, match=r"another configuration \(different: phases, seed\)"):
        make(cache, tmp_path / "run", replace(CONFIG, seed=4)).resume()
    one_phase = replace(CONFIG, phases=CONFIG.phases[:1])
    with pytest.raises(CheckpointError, match=r"another configuration \(different: without\)"):
        make(cache, tmp_path / "run", one_phase, without=("graph",)).resume()
    other = toy_cache(tmp_path / "other", customers=24, seed=7)
    with pytest.raises(CheckpointError, match="another cache"):
        make(other, tmp_path / "run", replace(CONFIG, phases=CONFIG.phases[:1])).resume()


def test_a_foreign_folder_is_not_replaced(cache, tmp_path):
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "recipes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="best is no checkpoint, and is not replaced"):
        make(cache, tmp_path, replace(CONFIG, phases=CONFIG.phases[:1])).fit()
    assert (tmp_path / "best" / "recipes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "edit, message",
    [
        (lambda facts: facts["features"]["chain_sales"].update(decay=0.7), "chain_sales.decay"),
        (lambda facts: facts["sha256"].pop("training.safetensors"), "nothing to go on from"),
        (lambda facts: facts["progress"].pop("epoch"), "nothing to go on from"),
    ],
)
def test_a_checkpoint_that_training_cannot_go_on_from(cache, tmp_path, edit, message):
    """Trained by a version with other constants, without the optimiser, without a place."""
    config = replace(CONFIG, phases=CONFIG.phases[:1])
    make(cache, tmp_path, config).fit()
    edit_json(tmp_path / "last" / "checkpoint.json", edit)
    with pytest.raises(CheckpointError, match=message):
        make(cache, tmp_path, config).resume()


def spoil(trainer, what):
    """Make a number of the run something else, as a step that diverged does."""
    weight = trainer.model.item.weight
    with torch.no_grad():
        if what == "weights":
            weight[0, 0] = float("nan")
        elif what == "optimiser":
            trainer.optimiser.state[weight]["exp_avg_sq"][0, 0] = float("inf")
        else:
            trainer._sums[0] = float("nan")


@pytest.mark.parametrize("what", ["weights", "optimiser", "sums"])
@pytest.mark.parametrize("after", [4, "epoch"])
def test_what_is_not_finite_is_not_saved(cache, tmp_path, what, after):
    """Within an epoch and after the last of its steps, which no later loss tells of."""
    trainer = make(cache, tmp_path)
    step, done = trainer.step, 0
    last = len(trainer.loader(0)) if after == "epoch" else after

    def spoiled(batch):
        nonlocal done
        parts, done = step(batch), done + 1
        if done == last:
            spoil(trainer, what)
        return parts

    trainer.step = spoiled
    remedy = r"in epoch 1: .* try a lower --learning-rate, with --fresh or into another --out$"
    with pytest.raises(NotFiniteError, match=remedy) as error:
        trainer.fit()
    names = {"weights": "item.weight", "optimiser": "exp_avg_sq", "sums": "the loss"}
    assert names[what] in str(error.value)
    again = make(cache, tmp_path)
    assert again.resume() and again._start == last - (last % 2 or 2)
    assert not (tmp_path / "best").exists()


def test_a_disk_that_is_full_leaves_the_last_checkpoint(cache, tmp_path, monkeypatch):
    """The error names what could not be written, whoever wrote it."""
    config = replace(CONFIG, phases=(Phase("main", 3, 1e-3, 1e-3),))
    make(cache, tmp_path, replace(config, patience=1)).fit()
    before = load_checkpoint(tmp_path / "last")

    def fail(*_, **__):
        raise SafetensorError("Error while serializing: I/O error: ... (os error 28)")

    for name in ("save_file", "save_arrays"):
        trainer = make(cache, tmp_path, replace(config, patience=1))
        assert trainer.resume()
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, name, fail)
            with pytest.raises(OSError) as error:
                trainer._save(2, 0)
        assert (error.value.errno, error.value.strerror) == (28, "No space left on device")
        assert error.value.filename == str(tmp_path / "last")
        assert load_checkpoint(tmp_path / "last").weights_digest == before.weights_digest


# Several processes


def _rank(rank: int, port: int, cache: str, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    with join_ranks("cpu") as ranks:
        make(TensorCache(cache), Path(folder), ONE_EPOCH_EACH, ranks=ranks, dropout=0).fit()
    assert not dist.is_initialized()
    threads = {path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")}
    assert not any("gloo" in name for name in threads), threads


ONE_EPOCH_EACH = replace(CONFIG, tokens=1000, phases=three_phases(1e-3, (1, 1, 1)))


def test_two_ranks_are_one(cache, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mp.spawn(_rank, args=(port, str(cache.folder), str(tmp_path / "two")), nprocs=2)
    make(cache, tmp_path / "one", ONE_EPOCH_EACH, dropout=0).fit()
    one, two = (load_checkpoint(tmp_path / name / "last") for name in ("one", "two"))
    for a, b in zip(one.progress["curves"], two.progress["curves"], strict=True):
        for name in ("focal", "contrastive", "size", "mission"):
            assert a.get(name, 0) == pytest.approx(b.get(name, 0), rel=1e-3)
    start = make(cache, tmp_path / "start", ONE_EPOCH_EACH).model.state_dict()
    for name, value in one.weights.items():
        if not value.is_floating_point():
            continue
        moved = (value - start[name]).norm()
        assert (value - two.weights[name]).norm() <= 0.02 * moved + 1e-6, name


def test_a_gpu_gets_its_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    workers = {
        (kind, count): Ranks(0, count, torch.device(kind)).loader_workers()
        for kind in ("cpu", "cuda") for count in (1, 2, 8)
    }  # fmt: skip
    assert workers == {
        ("cpu", 1): 0, ("cpu", 2): 0, ("cpu", 8): 0,
        ("cuda", 1): 7, ("cuda", 2): 3, ("cuda", 8): 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "device", "native", "model", "large_products"),
    [
        ("auto", "cpu", True, False, True),
        ("auto", "cpu", False, False, False),
        ("auto", "cuda", False, True, True),
        ("float32", "cuda", True, False, False),
        ("bfloat16", "cpu", False, False, True),
    ],
)
def test_bfloat16_where_it_pays(monkeypatch, name, device, native, model, large_products):
    capabilities = {"avx2": True, "avx512_bf16": native}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    precision = Precision.of(name, torch.device(device))
    assert (precision.model, precision.large_products) == (model, large_products)


def test_training_in_bfloat16_is_close(cache, tmp_path):
    runs = [
        make(cache, tmp_path / name, replace(CONFIG, precision=name)).fit()
        for name in ("float32", "bfloat16")
    ]
    for one, other in zip(*runs, strict=True):
        assert one["focal"] != other["focal"]
        assert one["focal"] == pytest.approx(other["focal"], rel=2e-3)


def test_a_missing_gpu_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no CUDA GPU"), join_ranks("cuda"):
        pass
    with pytest.raises(ValueError, match="tpu"), join_ranks("tpu"):
        pass
    with join_ranks("auto") as ranks:
        assert ranks == Ranks(0, 1, torch.device("cpu"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"WORLD_SIZE": ""}, "WORLD_SIZE: expected a whole number from 1 to .*, not ''"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE: expected a whole number from 1"),
        ({"WORLD_SIZE": "two"}, "start with it, or unset WORLD_SIZE"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2 and RANK is not set: torchrun sets these"),
        (
            {"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"},
            "RANK: expected a whole number from 0 to 1, not '2'",
        ),
        (
            {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "a"},
            "MASTER_PORT: expected a whole number",
        ),
    ],
)
def test_settings_that_torchrun_would_not_make_are_named(monkeypatch, settings, message):
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=message), join_ranks("cpu"):
        pass
