"""Benchmarks: figures are counted and combined correctly. No test is timed."""

from __future__ import annotations

import argparse
import json
import re
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.autograd import DeviceType
from toy import toy_cache

from benchmarks import encoder, environments, inference, simulation, training
from benchmarks.common import CommandError, measure
from benchmarks.scaling import summary
from benchmarks.step_profile import REST, by_part
from benchmarks.timing import peak_allocated
from trainer.batches.timelines import WorldModelDataset
from trainer.model.checkpoint import save_checkpoint
from trainer.model.config import PRESETS
from trainer.model.world_model import create_world_model
from trainer.training import SCHEDULES

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=24, seed=6)


def test_flop_of_a_linear_map_by_hand():
    layer, x = nn.Linear(8, 16), torch.randn(32, 8, requires_grad=True)
    forward = 2 * 32 * 8 * 16
    assert training.count_flop(lambda: layer(x)) == forward
    assert training.count_flop(lambda: layer(x).sum().backward()) == 3 * forward


def test_flop_of_attention_are_counted_on_a_cpu():
    q = torch.randn(2, 4, 64, 16, requires_grad=True)
    attend = nn.functional.scaled_dot_product_attention
    products = 2 * (2 * 2 * 4 * 64 * 64 * 16)  # with keys and with values
    assert training.count_flop(lambda: attend(q, q, q)) == products
    assert training.count_flop(lambda: attend(q, q, q).sum().backward()) == 3 * products


def test_the_longest_phase_is_timed():
    options = argparse.Namespace(preset="base", tokens=None)
    config = training.longest_phase(options)
    assert [phase.name for phase in config.phases] == ["main"] and config.epochs == 1
    assert config.tokens == SCHEDULES["base"].tokens
    options.tokens = 100
    assert training.longest_phase(options, 2).tokens == 100


@pytest.mark.parametrize("preset", PRESETS)
def test_the_transformer_has_as_many_parameters(preset):
    ours, baseline = encoder.mamba(PRESETS[preset]), encoder.transformer(PRESETS[preset])
    assert encoder.parameters(baseline) == pytest.approx(encoder.parameters(ours), rel=0.1)


def test_the_transformer_is_causal():
    torch.manual_seed(0)
    model = encoder.transformer(PRESETS["tiny"])
    u = torch.randn(2, 12, PRESETS["tiny"].width)
    changed = torch.cat([u[:, :8], torch.randn_like(u[:, 8:])], dim=1)
    before, after = model(u), model(changed)
    assert torch.allclose(before[:, :8], after[:, :8], atol=1e-6)
    assert not torch.allclose(before[:, 8:], after[:, 8:], atol=1e-2)


@pytest.mark.parametrize(("length", "strata"), [(64, 2), (512, 4), (8192, 2), (3, 8), (1, 1)])
def test_sampled_prefixes_represent_all(length, strata):
    """Where the cost of a prefix is its length, the mean cost is (length + 1) / 2."""
    chosen = encoder.middles(length, strata)
    assert all(1 <= prefix <= length for prefix in chosen)
    assert sum(chosen) / len(chosen) == pytest.approx((length + 1) / 2, abs=0.5)


def test_parts_of_one_length_are_averaged():
    found = {
        ("ours", 64): 2.0,
        ("afresh", 64, 16): 10.0,
        ("afresh", 64, 48): 30.0,
        ("ours", 128): 3,
    }
    assert encoder.at_length(found, 64) == {"ours": 2.0, "afresh": 20.0}


def test_memory_held_at_once():
    def run():
        first = torch.empty(1000, dtype=torch.float64)
        second = torch.empty(500, dtype=torch.float64)
        del first
        return second, torch.empty(100, dtype=torch.float64)

    assert peak_allocated(run, CPU) == 12_000


def test_scaling_by_hand():
    def row(customers, items, rate, memory):
        names = ("customers", "items", "items_per_s", "peak_memory_gb")
        return dict(zip(names, (customers, items, rate, memory), strict=True))

    found = {
        (0, 1): row(10, 1_000, 2000.0, 1.0),
        (1, 1): row(20, 3_000, 1600.0, 1.000002),
        (1, 2): row(20, 3_000, 2400.0, 1.0),
    }
    made = summary(found)
    assert [size["us_per_item"] for size in made["sizes"]] == [500, 625]
    assert [size["time_per_item_over_first"] for size in made["sizes"]] == [1, 1.25]
    assert made["time_per_item_max_over_min"] == 1.25
    assert made["bytes_per_added_item"] == 1
    assert [(ranks["ranks"], ranks["over_one"]) for ranks in made["ranks"]] == [(1, 1), (2, 1.5)]


def result(main, arguments, tmp_path):
    path = tmp_path / "result.json"
    assert main([*arguments, "--device", "cpu", "--json", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert str(tmp_path) not in text  # results name no folder
    return json.loads(text)


def test_training_on_a_toy_chain(cache, tmp_path):
    arguments = ["--cache", str(cache.folder), "--preset", "tiny", "--tokens", "300"]
    made = result(training.main, [*arguments, "--batches", "2", "--rounds", "1"], tmp_path)
    assert made["benchmark"] == "training" and made["configuration"]["batches"] == 2
    assert made["configuration"]["backend"] == "torch"
    step = made["step"]
    ceiling = made["ceiling_tflop_per_s"]["float32"]
    assert step["tokens_per_s"] > step["items_per_s"] > 0
    # Figures have four decimals, which is coarse for TFLOP/s of a toy on a slow machine.
    share = pytest.approx(step["tflop_per_s"] / ceiling, rel=0.05, abs=1e-4 / ceiling)
    assert step["share_of_ceiling"] == share
    # A product with every weight for every token is far from all of it, and far from nothing.
    assert made["parameters"] * 0.1 < made["flop_per_token"] < made["parameters"] * 60
    assert made["loader"]["items"] == WorldModelDataset(cache).items.sum()  # the whole epoch


def test_profile_of_a_toy_chain(cache, capsys):
    arguments = ["--cache", str(cache.folder), "--preset", "tiny", "--tokens", "300"]
    more = ["--batches", "1", "--device", "cpu", "--profile"]
    assert training.main([*arguments, *more]) == 0
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    found = {part: (float(ahead), float(back)) for part, ahead, back, _ in lines[2:]}
    assert {"customer", "store", "time", "price", "product", "encoder", "decoder"} <= set(found)
    assert {"purchases", "prior", "scores", "loss", "optimiser", "loader"} <= set(found)
    for part in ("encoder", "decoder", "purchases", "loss"):
        assert min(found[part]) > 0
    assert found["loader"][1] == found["optimiser"][1] == 0
    total = found.pop("all")
    assert sum(map(sum, found.values())) == pytest.approx(sum(total), abs=0.05 * 2 * len(found))


def event(name, self_time, parent=None, number=-1, total=None, gpu=0):
    """An operation of the profiler, `self_time` and `total` in microseconds, ordered by start."""
    event.clock = getattr(event, "clock", 0) + 1
    return SimpleNamespace(
        name=name, self_cpu_time_total=self_time, cpu_time_total=total or self_time,
        cpu_parent=parent,
        sequence_nr=number, self_device_time_total=gpu, device_type=DeviceType.CPU,
        time_range=SimpleNamespace(start=event.clock),
    )  # fmt: skip


def test_derivatives_belong_to_the_part_of_their_forward_operation():
    step = event(f"part:{REST}", 100)
    encoder_ = event("part:encoder", 5, step)
    detached = event("aten::detach", 1, encoder_, number=7)  # has no derivative of its own
    loss = event("part:loss", 2, step)
    product = event("aten::mm", 10, loss, number=7, gpu=30)
    node = event("autograd::engine::evaluate_function: MmBackward0", 4, number=7, total=24)
    inner = event("aten::mm", 20, node, number=9, gpu=60)
    gathered = event("autograd::engine::evaluate_function: AccumulateGrad", 3)
    update = event("Optimizer.step#AdamW.step", 8, step)
    events = [step, encoder_, detached, loss, product, node, inner, gathered, update]
    assert by_part(events) == {
        REST: {"forward": 100 - 24 - 3, "backward": 3, "gpu": 0},
        "encoder": {"forward": 6, "gpu": 0},
        "loss": {"forward": 12, "backward": 24, "gpu": 90},
        "optimiser": {"forward": 8, "gpu": 0},
    }


def test_a_command_that_fails_is_an_error_of_one_line():
    code = "print('error: no such thing'); print('more'); raise SystemExit(3)"
    with pytest.raises(CommandError, match="failed: error: no such thing$"):
        measure([sys.executable, "-c", code], {})


def test_inference_on_a_toy_chain(cache, tmp_path):
    arguments = ["--cache", str(cache.folder), "--preset", "tiny", "--customers", "2"]
    made = result(inference.main, arguments, tmp_path)
    assert made["configuration"]["customers"] == 2
    assert set(made["one_customer"]) == set(made["batch"])
    assert all(value > 0 for value in made["batch"].values())
    dataset = WorldModelDataset(cache, "validation")
    assert made["all"]["customers"] == (dataset.trips > 1).sum()
    assert made["all"]["trips"] == (dataset.trips[dataset.trips > 1] - 1).sum()


def test_simulation_on_a_toy_chain(cache, tmp_path):
    save_checkpoint(tmp_path / "best", create_world_model("tiny", cache).eval(), cache, {})
    arguments = [str(tmp_path / "best"), "--cache", str(cache.folder), "--weeks", "1"]
    out = tmp_path / "result.json"
    assert simulation.main([*arguments, "--json", str(out)]) == 0
    made = json.loads(out.read_text())
    half, every, longer = made["runs"]
    assert 2 * half["customers"] in (every["customers"], every["customers"] - 1)
    assert (half["weeks"], every["weeks"], longer["weeks"]) == (1, 1, 2)
    assert half["trips"] < every["trips"] < longer["trips"]


def test_environments_on_a_small_chain(tmp_path):
    out = tmp_path / "result.json"
    arguments = ["--customers", "20", "--episodes", "2", "--repeats", "1", "--json", str(out)]
    assert environments.main(arguments) == 0
    made = json.loads(out.read_text())
    assert made["configuration"]["customers"] == 20
    assert all(made[part]["weeks_per_s"] > 0 for part in ("core", "single", "vectorised"))


def test_encoder_at_two_lengths(tmp_path):
    arguments = ["--preset", "tiny", "--lengths", "8", "16", "--steps", "32", "--rounds", "1"]
    made = result(encoder.main, arguments, tmp_path)
    assert [row["length"] for row in made["lengths"]] == [8, 16]
    for row in made["lengths"]:
        assert row["time_over_ours"]["ours"] == row["memory_over_ours"]["ours"] == 1
        assert row["memory_over_ours"]["afresh"] > 1


@pytest.mark.parametrize(
    ("main", "arguments", "said"),
    [
        (training.main, ["--cache", "nowhere"], "nowhere/manifest.json does not exist"),
        (training.main, ["--cache", "nowhere", "--batches", "0"], "--batches: expected a whole"),
        (encoder.main, ["--steps", "64"], "--steps: expected at least 8192"),
        (encoder.main, ["--device", "cpu", "--backend", "mamba-ssm"], "mamba-ssm cannot run"),
    ],
)
def test_errors_are_one_line(main, arguments, said, capsys):
    assert main([*arguments, "--device", "cpu"]) == 2
    assert re.fullmatch(rf"error: .*{re.escape(said)}.*\n", capsys.readouterr().err)
