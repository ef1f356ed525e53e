"""From an event loop to one thread that works through what has arrived, many requests at once.

The thread takes all that wait, up to a number, as soon as it is free: while it works the next ones
gather, so that batches grow with the load and a single client waits for nobody.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.errors import ApiError, overloaded

log = logging.getLogger("retailsim.serving")


@dataclass(eq=False)
class Job:
    """A request, and who waits for its result."""

    request: Any
    future: asyncio.Future
    arrived: float = field(default_factory=time.monotonic)


REST_SECONDS = 0.02
"""Without a request, after which the thread does what nobody waits for."""


class Batcher:
    """Hands requests to a thread and results back.

    Args:
        work: finishes each of some jobs, now or later, from whichever thread (`finish`). What it
            leaves unfinished with an exception gets that exception.
        most: jobs per call of `work`.
        waiting: jobs that may wait; further ones are refused.
        seconds: a job that has waited for longer is refused.
        rest: does a little of what nobody waits for, and says whether there is more.
    """

    def __init__(
        self, work: Callable[[list[Job]], None], most: int, waiting: int, seconds: float,
        rest: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._work, self._most, self._bound, self._seconds = work, most, waiting, seconds
        self._rest = rest
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    def __len__(self) -> int:
        """Jobs that wait."""
        return len(self._jobs)

    @property
    def is_full(self) -> bool:
        """Whether another job would be refused."""
        return len(self._jobs) >= self._bound

    @property
    def is_alive(self) -> bool:
        """Whether the thread works."""
        return self._thread.is_alive() and not self._stopping

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the thread; results are handed to this loop."""
        self._loop = loop
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    async def ask(self, request: Any) -> Any:
        """The result of a request. Raises what `work` gave as its result, or ApiError."""
        (future,) = self.submit([request])
        return await future

    def submit(self, requests: Sequence[Any]) -> list[asyncio.Future]:
        """All requests or none: raises ApiError where they do not fit. From the loop's thread."""
        with self._changed:
            if self._stopping or len(self._jobs) + len(requests) > self._bound:
                raise overloaded()
            jobs = [Job(request, self._loop.create_future()) for request in requests]
            self._jobs.extend(jobs)
            self._changed.notify()
        return [job.future for job in jobs]

    def finish(self, results: Iterable[tuple[Job, Any]]) -> None:
        """Give jobs their results, or exceptions. From any thread."""
        results = list(results)
        if results:
            self._loop.call_soon_threadsafe(_set, results)

    def _run(self) -> None:
        while jobs := self._take():
            late = ApiError(503, "too_late", f"waited for more than {self._seconds:g} seconds")
            now = time.monotonic()
            asked = [job for job in jobs if not job.future.done()]
            in_time = [job for job in asked if now - job.arrived <= self._seconds]
            self.finish((job, late) for job in asked if now - job.arrived > self._seconds)
            try:
                if in_time:
                    self._work(in_time)
            except Exception as error:
                self.finish((job, error) for job in in_time)

    def _take(self) -> list[Job]:
        """Jobs to work on next; none at the end."""
        pause: float | None = REST_SECONDS
        while True:
            with self._changed:
                while not self._jobs and not self._stopping:
                    if not self._changed.wait(pause):
                        break
                if self._jobs or self._stopping:
                    return [self._jobs.popleft() for _ in range(min(self._most, len(self._jobs)))]
            try:
                pause = REST_SECONDS if self._rest() else None
            except Exception:
                log.exception("what nobody waits for failed")
                pause = None


def _set(results: list[tuple[Job, Any]]) -> None:
    for job, result in results:
        if job.future.done():
            continue
        if isinstance(result, Exception):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)
