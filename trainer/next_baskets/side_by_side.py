"""Work in several processes, since many small operations gain little from torch's threads."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import torch

from trainer.commands.errors import ExpectedError

_work: Callable[[int], Any] | None = None
"""Of a worker process."""


@contextmanager
def side_by_side(
    work: Callable[[int], Any], parts: int, processes: int | None = None
) -> Iterator[Iterator[Any]]:
    """The results of work(0), work(1) and so on, in this order, none of which needs another.

    processes: as many as torch has threads if left out; with one of them, one part or a GPU this
    process does it all. Raises what the work raises, and
    ExpectedError where a worker is killed.
    """
    workers = min(processes or torch.get_num_threads(), parts)
    if workers <= 1 or torch.cuda.is_available():
        yield map(work, range(parts))
        return
    # A fork shares model and chain with its parent, and starts in no time.
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(work,))
    try:
        yield pool.map(_part, range(parts))
    except BrokenProcessPool:
        raise ExpectedError(
            "a worker process was killed, perhaps for lack of memory: use fewer than "
            f"{workers} (--processes, or else OMP_NUM_THREADS)"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(work: Callable[[int], Any]) -> None:
    """In a new worker: Ctrl-C is for the parent, and one thread is enough."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    _work = work


def _part(number: int) -> Any:
    return _work(number)
