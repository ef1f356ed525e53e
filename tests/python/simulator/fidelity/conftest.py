"""One chain for the tests of the gate."""

from __future__ import annotations

import pytest
from worlds import START, WEEKS, world

from simulator.fidelity.window import Window


@pytest.fixture(scope="session", autouse=True)
def few_trees():
    """The toy chain has little to learn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulator.fidelity.detector.ROUNDS", 30)
        patch.setattr("simulator.fidelity.units.ROUNDS", 30)
        yield


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return world(tmp_path_factory.mktemp("fidelity") / "cache")


@pytest.fixture(scope="session")
def window(cache):
    return Window(cache, START, WEEKS)
