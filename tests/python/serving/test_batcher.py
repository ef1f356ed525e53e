"""From a loop to a thread: everyone gets their own answer, or is refused at once."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.batcher import Batcher
from serving.errors import ApiError


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def doubling(batches, most=4, waiting=10_000, seconds=30.0):
    """A batcher that doubles numbers, refuses negative ones and fails at zeros."""

    def work(jobs):
        batches.append([job.request for job in jobs])
        batcher.finish(
            (job, ValueError(job.request) if job.request < 0 else 2 * job.request)
            for job in jobs
            if job.request
        )
        if any(job.request == 0 for job in jobs):
            raise ZeroDivisionError

    batcher = Batcher(work, most, waiting, seconds)
    return batcher


@given(st.lists(st.lists(st.integers(-3, 9), max_size=9), max_size=9), st.integers(1, 5))
def test_everyone_gets_their_own_answer(groups, most):
    batches = []

    async def ask():
        batcher = doubling(batches, most)
        batcher.start(asyncio.get_running_loop())
        futures = []
        for group in groups:
            futures += batcher.submit(group)
            await asyncio.sleep(0)
        found = await asyncio.gather(*futures, return_exceptions=True)
        batcher.stop()
        return found

    asked = [number for group in groups for number in group]
    for number, result in zip(asked, run(ask()), strict=True):
        if number > 0:
            assert result == 2 * number
        else:
            assert isinstance(result, ValueError if number < 0 else ZeroDivisionError)
    assert [number for batch in batches for number in batch] == asked
    assert all(1 <= len(batch) <= most for batch in batches)


def blocked(batcher_of):
    """A batcher whose thread is busy until an event is set."""
    free, busy = threading.Event(), threading.Event()

    def work(jobs):
        busy.set()
        free.wait()
        batcher.finish((job, job.request) for job in jobs)

    batcher = batcher_of(work)
    return batcher, free, busy


def test_what_does_not_fit_is_refused_at_once_and_the_rest_is_answered():
    async def ask():
        batcher, free, busy = blocked(lambda work: Batcher(work, 2, 3, 30))
        batcher.start(asyncio.get_running_loop())
        first = batcher.submit([0])
        await asyncio.to_thread(busy.wait)
        waiting = batcher.submit([1, 2])
        with pytest.raises(ApiError) as refused:
            batcher.submit([3, 4])  # all or none
        assert not batcher.is_full
        waiting += batcher.submit([5])
        assert batcher.is_full
        with pytest.raises(ApiError):
            await batcher.ask(6)
        free.set()
        found = await asyncio.gather(*first, *waiting)
        batcher.stop()
        with pytest.raises(ApiError):
            await batcher.ask(7)
        return refused.value, found

    refused, found = run(ask())
    assert (refused.status, refused.code, found) == (503, "overloaded", [0, 1, 2, 5])
    assert refused.response().headers["retry-after"] == "1"


def test_what_waited_for_too_long_is_refused_and_not_worked_on():
    async def ask():
        batcher, free, busy = blocked(lambda work: Batcher(work, 2, 9, 0.05))
        batcher.start(asyncio.get_running_loop())
        first = batcher.submit([0])
        await asyncio.to_thread(busy.wait)
        second = batcher.submit([1])
        await asyncio.sleep(0.1)
        free.set()
        found = await asyncio.gather(*first, *second, return_exceptions=True)
        batcher.stop()
        return found

    first, second = run(ask())
    assert first == 0 and (second.status, second.code) == (503, "too_late")


def test_stopping_answers_what_waits():
    async def ask():
        batches = []
        batcher = doubling(batches, most=1)
        batcher.start(asyncio.get_running_loop())
        futures = batcher.submit(range(1, 20))
        await asyncio.to_thread(batcher.stop)
        return await asyncio.gather(*futures)

    assert run(ask()) == [2 * number for number in range(1, 20)]


def test_it_rests_while_nobody_asks_and_a_failure_of_that_is_no_end():
    rests, enough = [], threading.Event()

    def rest():
        rests.append(len(rests))
        if len(rests) == 3:
            enough.set()
            raise ValueError("once")
        return True

    def work(jobs):
        batcher.finish((job, job.request) for job in jobs)

    batcher = Batcher(work, 2, 9, 30, rest)

    async def ask():
        batcher.start(asyncio.get_running_loop())
        await asyncio.to_thread(enough.wait)
        answer = await batcher.ask(5)
        await asyncio.to_thread(batcher.stop)
        return answer

    assert run(ask()) == 5 and rests[:3] == [0, 1, 2]
