"""Time full training steps on a tensor cache beside the device's matrix products.

    python -m benchmarks.training --cache cache --preset small [--profile]

- step: the trainer's own step (copy to the device, forward, loss, backward, clipping, optimiser) on
  the same batches in every round; tokens are trips + items, as the loader's budget counts them.
- forward_backward: the same batches without clipping and optimiser.
- share_of_ceiling: FLOP per second of either over those of large square matrix products of the
  same number format, measured in turns with them. FLOP are those of matrix products, convolutions
  and attention, forward and backward, counted once on the CPU; docs/speed.md says what that leaves
  out.
- loader: an epoch in this process, alone.

--profile prints a Markdown table of where the time of a step goes instead.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from benchmarks.common import answer, device_options, model_options, parser
from benchmarks.step_profile import profile_steps
from benchmarks.timing import (
    backend_option,
    facts,
    in_turns,
    joined,
    matrix_product,
    medians,
    peak_memory_gb,
    use_backend,
)
from trainer.batches.batch import TimelineBatch
from trainer.batches.loaders import WorldModelDataLoader, padding_waste
from trainer.cache.reader import TensorCache
from trainer.commands.options import whole
from trainer.model.world_model import create_world_model
from trainer.training import SCHEDULES, Trainer, TrainingConfig
from trainer.training.ranks import Ranks

DTYPES = {"cuda": "bfloat16", "cpu": "float32"}
"""Number format of the trainer's matrix products, on a CPU of most of them."""


def longest_phase(options: argparse.Namespace, epochs: int = 1) -> TrainingConfig:
    """The preset's configuration with only its longest phase."""
    config = SCHEDULES[options.preset]
    phase = replace(max(config.phases, key=lambda phase: phase.epochs), epochs=epochs)
    return replace(config, phases=(phase,), tokens=options.tokens or config.tokens)


def ready(config: TrainingConfig, cache: TensorCache, folder: Path, ranks: Ranks) -> Trainer:
    """A trainer without validation. Weights are initial ones: they do not change the time."""
    torch.manual_seed(0)
    model = create_world_model(config.model, cache)
    return Trainer(model, cache, config, folder, lambda model: (0.0, {}), ranks, progress=False)


@dataclass(frozen=True)
class Setup:
    """A preset's longest phase, ready to train."""

    trainer: Trainer
    loader: WorldModelDataLoader
    backend: str

    @classmethod
    def of(cls, options: argparse.Namespace, cache: TensorCache, device: torch.device) -> Setup:
        """For the options of the command line."""
        config = longest_phase(options)
        trainer = ready(config, cache, Path(tempfile.gettempdir()), Ranks(0, 1, device))
        loader = trainer.loader(0)
        loader.workers = 0  # a worker's time would not be counted
        backend = use_backend(trainer.model.encoder, options.backend, device)
        return cls(trainer, loader, backend)

    def step(self, batch: TimelineBatch) -> None:
        """What the trainer does with a batch."""
        self.trainer.step(batch)

    def forward_backward(self, batch: TimelineBatch) -> None:
        """A step without clipping and optimiser."""
        self.trainer.gradients(batch)


def tokens(batch: TimelineBatch) -> int:
    """Trips and items of a batch, as the loader's budget counts them."""
    return len(batch.trips) + len(batch.items.token)


def count_flop(run: Callable[[], object]) -> int:
    """FLOP of the matrix products, convolutions and attention of a call on the CPU.

    Attention is computed by matrix products here: the counter does not know the CPU's fused one.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def loader_figures(loader: WorldModelDataLoader) -> dict[str, Any]:
    """One epoch through the loader, in this process."""
    waste, items, counted = [], 0, 0
    start, busy = time.perf_counter(), time.process_time()
    for batch in tqdm(loader, desc="loader", unit="batch"):
        waste.append(padding_waste(batch))
        items += len(batch.items.token)
        counted += tokens(batch)
    busy, wall = time.process_time() - busy, time.perf_counter() - start
    return {
        "items_per_s": round(items / wall),
        "tokens_per_s": round(counted / wall),
        "processor_s_per_batch": round(busy / len(waste), 4),
        "padding": {name: round(statistics.mean(w[name] for w in waste), 3) for name in waste[0]},
        "batches": len(waste),
        "items": items,
    }


def run(options: argparse.Namespace) -> dict[str, Any] | str:
    """The result for the options of the command line."""
    cache = TensorCache(options.cache)
    with joined(options) as ranks:
        setup = Setup.of(options, cache, ranks.device)
        if options.profile:
            return profile_steps(setup, options.batches)
        return figures(options, setup, cache, ranks.device)


def figures(
    options: argparse.Namespace, setup: Setup, cache: TensorCache, device: torch.device
) -> dict[str, Any]:
    """The result."""
    batches = list(islice(setup.loader, options.batches))
    setup.loader.load_state_dict({"seed": 0, "epoch": 0, "next": 0})  # the loader's epoch is whole
    _over(batches, setup.step)
    memory = peak_memory_gb(device)  # before the matrices of `matrix_product`
    products = {name: matrix_product(getattr(torch, name), device) for name in DTYPES.values()}
    calls: dict[str, Callable] = {name: product for name, (product, _) in products.items()}
    passes = {"step": setup.step, "forward_backward": setup.forward_backward}
    for name, each in passes.items():
        calls[name] = partial(_over, batches, each)
    taken = medians(in_turns(calls, options.rounds, device, f"{options.preset}, {device.type}"))
    counted = setup
    if device.type != "cpu":
        plain = argparse.Namespace(**vars(options) | {"backend": "torch"})
        counted = Setup.of(plain, cache, torch.device("cpu"))
    flop = sum(
        count_flop(partial(counted.forward_backward, batch))
        for batch in tqdm(batches, desc="FLOP", unit="batch")
    )
    rates = {name: flop_of_call / taken[name] for name, (_, flop_of_call) in products.items()}
    dtype = DTYPES[device.type]

    def speed(seconds: float) -> dict[str, float]:
        return {
            "seconds": round(seconds / len(batches), 5),
            "items_per_s": round(sum(len(batch.items.token) for batch in batches) / seconds),
            "tokens_per_s": round(sum(map(tokens, batches)) / seconds),
            "tflop_per_s": round(flop / seconds / 1e12, 4),
            "share_of_ceiling": round(flop / seconds / rates[dtype], 4),
        }

    config = setup.trainer.config
    return facts(
        "training",
        {
            "preset": options.preset,
            "tokens_per_batch": config.tokens,
            "batches": len(batches),
            "rounds": options.rounds,
            "dtype": dtype,
            "backend": setup.backend,
            "cache_digest": cache.digest,
        },
        device,
    ) | {
        "parameters": sum(parameter.numel() for parameter in setup.trainer.model.parameters()),
        **{name: speed(taken[name]) for name in passes},
        "ceiling_tflop_per_s": {name: round(rate / 1e12, 4) for name, rate in rates.items()},
        "tflop_per_step": round(flop / len(batches) / 1e12, 4),
        "flop_per_token": round(flop / sum(map(tokens, batches))),
        "peak_memory_gb": round(memory, 2),
        "loader": loader_figures(setup.loader),
    }


def _over(batches: list[TimelineBatch], each: Callable[[TimelineBatch], None]) -> None:
    for batch in batches:
        each(batch)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    made = parser(__doc__)
    model_options(made, SCHEDULES)
    add = made.add_argument
    add("--tokens", type=whole(), help="trips + items of a batch (default: the preset's)")
    add("--batches", type=whole(), default=8, help="batches of a round (default: 8)")
    add("--rounds", type=whole(), default=3, help="rounds to take medians of (default: 3)")
    add("--profile", action="store_true", help="print where the time of a step goes, no result")
    device_options(made)
    backend_option(made)
    return answer(made, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
