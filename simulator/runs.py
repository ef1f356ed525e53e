"""Several runs of the same weeks, side by side, with progress and the time left."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

from simulator.receipts import Receipts
from simulator.scenario import AS_IT_IS, Scenario
from simulator.simulation import Simulator
from trainer.cache.reader import TensorCache
from trainer.commands.options import CommandParser, whole
from trainer.evaluation.evaluator import ready
from trainer.model.checkpoint import Checkpoint
from trainer.model.encoder.backends import choose
from trainer.next_baskets.side_by_side import side_by_side
from trainer.training.allocator import keep_few_kernels, keep_freed_memory

POLL = 0.5
"""Seconds between two looks at what other processes have done."""
Result = TypeVar("Result")


def processes_option(parser: CommandParser) -> None:
    """`--processes`."""
    cores = len(os.sched_getaffinity(0))
    parser.add_argument(
        "--processes", type=whole(1, 4096), default=cores, metavar="N",
        help=f"runs side by side (default: one for each core, here {cores})",
    )  # fmt: skip


def ready_simulator(
    checkpoint: Checkpoint, cache: TensorCache, start: int, customers: np.ndarray | None = None,
    instrument: np.ndarray | None = None,
) -> Simulator:  # fmt: skip
    """With a checkpoint's model, the rest is as of `Simulator`; raises what both and `ready` do."""
    # A simulation is many small operations: several threads gain little by them, and lose much
    # by waiting for each other where other processes use the cores.
    torch.set_num_threads(1)
    keep_few_kernels()
    keep_freed_memory()
    model = ready(checkpoint, cache, choose("auto"), start + 1)
    return Simulator(model, cache, start, customers, instrument)


def simulate(
    simulator: Simulator, weeks: int, seeds: Sequence[int],
    then: Callable[[int, Receipts], Result], processes: int, scenario: Scenario = AS_IT_IS,
    anonymous: bool = True,
) -> list[Result]:  # fmt: skip
    """`then(number, receipts)` of a run for each seed, in so many processes; the receipts do not
    depend on their number. Raises what `side_by_side` raises."""

    def run(number: int, on_week: Callable[[], None]) -> Result:
        return then(number, simulator.run(weeks, seeds[number], scenario, anonymous, on_week))

    return with_progress(run, len(seeds), weeks, processes)


def with_progress(
    work: Callable[[int, Callable[[], None]], Result], parts: int, weeks: int, processes: int
) -> list[Result]:
    """The results of work(0, on_week), work(1, on_week) and so on, in so many processes, while a
    bar shows how much is done: of each part so many weeks, after each of which it calls on_week.
    After Ctrl-C or an error all end with the week that they are in. Raises what `side_by_side`
    raises."""
    context = multiprocessing.get_context("fork")
    done, is_over = context.Value("i", 0), context.Event()

    def one_more_week() -> None:
        with done.get_lock():
            done.value += 1
        if is_over.is_set():
            raise InterruptedError("another run has ended all of them")

    with (
        _progress(lambda: done.value, parts * weeks),
        side_by_side(lambda part: work(part, one_more_week), parts, processes) as found,
    ):
        try:
            return list(found)
        except BaseException:
            is_over.set()
            raise


@contextmanager
def _progress(done: Callable[[], int], total: int) -> Iterator[None]:
    """A bar of what this process and others have done."""
    over = threading.Event()

    def watch(bar: tqdm) -> None:
        stop = False
        while not stop:
            stop = over.wait(POLL)
            if more := done() - bar.n:  # an update by none prints a line too
                bar.update(more)

    # Weeks of several processes end together: the time left follows from the mean rate so far.
    with tqdm(total=total, desc="simulated", unit="week", file=sys.stderr, smoothing=0) as bar:
        watching = threading.Thread(target=watch, args=(bar,), daemon=True)
        watching.start()
        try:
            yield
        finally:
            over.set()
            watching.join()
