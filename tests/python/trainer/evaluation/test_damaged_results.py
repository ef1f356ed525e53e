"""A damaged result of a baseline counts as none, or is the same to the bit."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from damage import copied, damage_folder
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from trainer.evaluation.per_trip import METRICS
from trainer.evaluation.store import BaselineStore, Measured


def bits(measured):
    return [part.tobytes() for part in (measured.values, measured.hidden, measured.unknown)]


def measured(seed, trips=7):
    rng = np.random.default_rng(seed)
    return Measured(rng.normal(size=(trips, len(METRICS))), *rng.integers(9, size=(2, trips)))


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """The same results by name in both, but other figures."""
    folder = tmp_path_factory.mktemp("stores")
    for seed, name in enumerate(("kept", "other")):
        for task in ("a", "b"):
            BaselineStore(folder / name).write({"task": task}, measured(2 * seed + (task == "b")))
    return folder / "kept", folder / "other"


@examples(200)
@given(data=st.data())
def test_a_damaged_result_is_none_or_the_same(stores, data):
    kept, other = stores
    folder = copied(kept, kept.with_name("damaged"))
    damage_folder(data.draw, folder, [other])
    with contextlib.redirect_stderr(io.StringIO()) as said:
        found = BaselineStore(folder).read({"task": "a"})
    assert (said.getvalue() + "\n").count("\n") <= 2
    # A result has no way to know the cache that it was measured on but its key.
    assert found is None or bits(found) in (bits(measured(0)), bits(measured(2)))
