"""Time and memory of calls on any device.

Machines are shared, so figures to be compared are measured in turns, round after round, and medians
are reported.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch.profiler import ProfilerActivity, profile
from tqdm import tqdm

from benchmarks.common import processor
from trainer.evaluate import machine
from trainer.model.encoder.backends import NAMES, choose
from trainer.model.encoder.mamba2 import Mamba2Encoder
from trainer.training.allocator import keep_few_kernels, keep_freed_memory
from trainer.training.ranks import Ranks, join_ranks

Name = TypeVar("Name")


@contextmanager
def joined(options: argparse.Namespace) -> Iterator[Ranks]:
    """This process, on the device and with the threads that the command line asks for."""
    if options.threads:
        torch.set_num_threads(options.threads)
    keep_few_kernels()
    keep_freed_memory()
    with join_ranks(options.device) as ranks:
        yield ranks


def backend_option(made: argparse.ArgumentParser) -> None:
    """`--backend`."""
    made.add_argument(
        "--backend", choices=NAMES, default="auto",
        help="of the encoder's scan: auto (default) takes mamba-ssm on a GPU where it is installed",
    )  # fmt: skip


def use_backend(encoder: Mamba2Encoder, name: str, device: torch.device) -> str:
    """Give the encoder the backend of this name; returns the name of the chosen one."""
    chosen = choose(name, device)
    encoder.use(chosen)
    return chosen.name


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, from an idle device to an idle device."""
    _wait(device)
    start = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - start


def in_turns(
    runs: Mapping[Name, Callable[[], object]], rounds: int, device: torch.device, title: str
) -> dict[Name, list[float]]:
    """Seconds of each call in every round, after one round to warm up."""
    found = {name: [] for name in runs}
    bar = tqdm(total=(rounds + 1) * len(runs), desc=title, unit="call")
    with bar:
        for number in range(rounds + 1):
            for name, run in runs.items():
                taken = seconds(run, device)
                if number:
                    found[name].append(taken)
                bar.update()
    return found


def medians(found: Mapping[Name, list[float]]) -> dict[Name, float]:
    """The median of each list."""
    return {name: statistics.median(values) for name, values in found.items()}


def peak_memory_gb(device: torch.device) -> float:
    """The most memory this process held: tensors on a GPU, the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def peak_allocated(run: Callable[[], object], device: torch.device) -> int:
    """Peak bytes of the tensors that a call allocates."""
    if device.type == "cuda":
        run()  # cuBLAS allocates its workspace once
        _wait(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = profiler.profiler.kineto_results.events()
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def matrix_product(dtype: torch.dtype, device: torch.device) -> tuple[Callable[[], object], float]:
    """A call that multiplies matrices large enough to saturate the device, and its FLOP."""
    size, times = (8192, 10) if device.type == "cuda" else (2048, 1)
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))

    def run() -> None:
        for _ in range(times):
            torch.mm(a, b)

    return run, 2.0 * size**3 * times


def facts(benchmark: str, configuration: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """What every result holds besides its figures."""
    about = machine()
    about["hardware"] |= {"processor": processor(), "device": device.type}
    threads = {"threads": torch.get_num_threads()}
    return {"benchmark": benchmark, "configuration": configuration | threads} | about


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
