"""Several runs of the same weeks, side by side, with progress and the time left."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

from simulator.receipts import Receipts
from simulator.scenario import AS_IT_IS, Scenario
from simulator.simulation import Simulator
from trainer.next_baskets.side_by_side import side_by_side

POLL = 0.5
"""Seconds between two looks at what other processes have done."""
Result = TypeVar("Result")


def simulate(
    simulator: Simulator, weeks: int, seeds: Sequence[int],
    then: Callable[[int, Receipts], Result], scenario: Scenario = AS_IT_IS, anonymous: bool = True,
) -> list[Result]:  # fmt: skip
    """`then(number, receipts)` of a run for each seed, in as many processes as torch has threads;
    the receipts do not depend on their number. Raises what `side_by_side` raises."""
    done = multiprocessing.get_context("fork").Value("i", 0)

    def one_more_week() -> None:
        with done.get_lock():
            done.value += 1

    def run(number: int) -> Result:
        receipts = simulator.run(weeks, seeds[number], scenario, anonymous, one_more_week)
        return then(number, receipts)

    with (
        _progress(lambda: done.value, len(seeds) * weeks),
        side_by_side(run, len(seeds)) as found,
    ):
        return list(found)


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
