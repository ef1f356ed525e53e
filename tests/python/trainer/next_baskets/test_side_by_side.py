"""Work in several processes: the same results in the same order, and its errors."""

from __future__ import annotations

import os
import signal

import pytest
import torch

from trainer.commands.errors import ExpectedError, InputError
from trainer.next_baskets.side_by_side import side_by_side


@pytest.fixture
def threads():
    """`threads(n)` sets torch's, until the end of the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def results(work, parts):
    with side_by_side(work, parts) as found:
        return list(found)


@pytest.mark.parametrize("number", [1, 2])
def test_results_come_in_order(threads, number):
    threads(number)
    one = torch.arange(3)
    found = results(lambda part: (part, (one * part).numpy(), os.getpid()), 5)
    assert [part for part, _, _ in found] == list(range(5))
    assert [values.tolist() for _, values, _ in found] == [[0, n, 2 * n] for n in range(5)]
    assert (os.getpid() in {process for _, _, process in found}) == (number == 1)


@pytest.mark.parametrize("number", [1, 2])
def test_errors_of_the_work_are_those_of_the_caller(threads, number):
    threads(number)

    def work(part):
        if part == 2:
            raise InputError("part 2 is wrong")
        return part

    with pytest.raises(InputError, match="part 2 is wrong"):
        results(work, 4)


def test_a_killed_worker_is_said(threads):
    threads(2)
    with pytest.raises(ExpectedError, match="a worker process was killed"):
        results(lambda part: os.kill(os.getpid(), signal.SIGKILL), 4)
