"""Runs side by side."""

from __future__ import annotations

import time

import pytest

from simulator.runs import simulate
from trainer.commands.errors import InputError


class Failing:
    """A simulator whose first run fails, and whose others take their time."""

    def run(self, weeks, seed, scenario, anonymous, on_week):
        if seed == 0:
            raise InputError("no room")
        for _ in range(weeks):
            time.sleep(0.01)
            on_week()


def test_after_an_error_the_other_runs_end_too(tmp_path):
    def written(number, _):
        (tmp_path / str(number)).touch()

    with pytest.raises(InputError, match="no room"):
        simulate(Failing(), 1000, [0, 1], written, processes=2)
    assert not list(tmp_path.iterdir())
