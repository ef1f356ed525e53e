"""Purchases of a product in their order: gaps by hand, and how sequences share rows."""

from __future__ import annotations

import numpy as np
import pytest
from histories import circumstances_of

from trainer.features import purchase_sequences as module
from trainer.features.purchase_sequences import CHUNK, CIRCUMSTANCES, purchase_sequences


def test_gaps_and_circumstances_by_hand():
    # Sequence 0 on trips 0, 2 and 3, sequence 5 on trip 1 alone, sequence 6 on trips 0 and 3.
    trips = circumstances_of(
        4, day=[6, 8, 13, 27], hour=[9, 10, 20, 8],
        kind=[[1, 2, 3, 4], [0, 0, 0, 0], [2, 2, 2, 2], [1, 1, 1, 1]],
    )  # fmt: skip
    key, token = np.array([0, 0, 0, 5, 6, 6]), np.array([7, 7, 7, 2, 3, 3])
    made = purchase_sequences(key, token, np.array([0, 2, 3, 1, 0, 3]), trips)
    assert made.token.tolist() == token.tolist()
    assert made.gaps.tolist() == [[-1, -1], [7, 2], [14, 1], [-1, -1], [-1, -1], [21, 3]]
    assert CIRCUMSTANCES[-2:] == ("hour", "weekday")
    assert made.circumstances.tolist() == [
        [1, 2, 3, 4, 9, 6], [2, 2, 2, 2, 20, 6], [1, 1, 1, 1, 8, 6],
        [0, 0, 0, 0, 10, 1], [1, 2, 3, 4, 9, 6], [1, 1, 1, 1, 8, 6],
    ]  # fmt: skip
    assert made.step.tolist() == list(range(6))
    assert made.sequence.tolist() == [[1, 1, 1, 2, 3, 3] + [0] * (CHUNK - 6)]


def test_two_purchases_on_one_day_are_no_days_apart():
    made = purchase_sequences(
        np.zeros(2, dtype=int), np.ones(2, dtype=int), np.arange(2), circumstances_of(2, day=[4, 4])
    )
    assert made.gaps.tolist() == [[-1, -1], [0, 1]]


@pytest.mark.parametrize("seed", range(8))
def test_rows_hold_every_purchase_once_and_sequences_whole(seed, monkeypatch):
    draw = np.random.default_rng(seed)
    row, chunk = int(draw.integers(1, 30)), int(draw.integers(1, 9))
    monkeypatch.setattr(module, "ROW", row)
    monkeypatch.setattr(module, "CHUNK", chunk)
    lengths = draw.integers(1, [2, 10, 100][seed % 3], 40)
    key = np.repeat(np.sort(draw.choice(10_000, 40, replace=False)), lengths)
    trip = np.concatenate([np.sort(draw.choice(100, n, replace=False)) for n in lengths])
    made = purchase_sequences(key, key, trip, circumstances_of(100))
    rows, length = made.sequence.shape
    assert length % chunk == 0 and length < row + lengths.max() + chunk
    step, flat = made.step.numpy(), made.sequence.flatten().numpy()
    assert len(set(step.tolist())) == len(key)
    assert (flat > 0).sum() == len(key)
    # Every step has the number of its sequence, and a sequence is one run in one row.
    number = np.unique(key, return_inverse=True)[1] + 1
    assert flat[step].tolist() == number.tolist()
    within = np.diff(number) == 0
    assert (np.diff(step)[within] == 1).all()
    for of in np.unique(number):
        assert len(set((step[number == of] // length).tolist())) == 1
    assert (made.sequence > 0).any(1).all()  # no row is empty
    assert (made.gaps[np.flatnonzero(np.append(True, ~within))] == -1).all()
