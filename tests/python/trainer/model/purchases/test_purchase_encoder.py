"""The scan over purchases: of each product alone, and of earlier purchases only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from histories import circumstances_of

from trainer.features.purchase_sequences import purchase_sequences
from trainer.model.purchases.purchase_encoder import PurchaseEncoder

PRODUCT, HIDDEN, TOKENS = 6, 5, 9
CODES = (4, 3, 3, 5)
LENGTHS = [3, 1, 40, 2, 70, 1, 1, 9]


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    encoder = PurchaseEncoder(PRODUCT, CODES, HIDDEN).double()
    torch.nn.init.normal_(encoder.out.weight)
    return encoder


@pytest.fixture(scope="module")
def trips():
    draw = np.random.default_rng(0)
    count = 100
    return circumstances_of(
        count, day=np.sort(draw.integers(0, 300, count)), hour=draw.integers(0, 24, count),
        kind=np.stack([draw.integers(0, codes, count) for codes in CODES], axis=1),
    )  # fmt: skip


@pytest.fixture(scope="module")
def sequences(trips):
    """Keys, tokens and trips of the purchases of some sequences."""
    draw = np.random.default_rng(1)
    key = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    trip = np.concatenate([np.sort(draw.choice(100, n, replace=False)) for n in LENGTHS])
    return key, draw.integers(0, TOKENS, len(LENGTHS))[key], trip


@pytest.fixture(scope="module")
def vectors():
    return torch.randn(TOKENS, PRODUCT, generator=torch.Generator().manual_seed(0)).double()


def encode(encoder, sequences, trips, vectors):
    purchases = purchase_sequences(*sequences, trips)
    return encoder(replace(purchases, gaps=purchases.gaps.double()), vectors)


@pytest.mark.parametrize("row", [1, 16, 512])
def test_packed_equals_one_by_one_with_every_gradient(
    encoder, sequences, trips, vectors, monkeypatch, row
):
    """However many share a row: sequences begin anywhere in a chunk."""
    monkeypatch.setattr("trainer.features.purchase_sequences.ROW", row)
    key = sequences[0]
    weight = torch.randn(len(key), HIDDEN, dtype=torch.float64)
    together = encode(encoder, sequences, trips, vectors)
    found = torch.autograd.grad((together * weight).sum(), encoder.parameters())
    alone, value = [], 0
    for number in range(len(LENGTHS)):
        own = key == number
        alone.append(encode(encoder, tuple(part[own] for part in sequences), trips, vectors))
        value = value + (alone[-1] * weight[own]).sum()
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-9, atol=1e-10)
    expected = torch.autograd.grad(value, encoder.parameters())
    for (name, _), one, other in zip(encoder.named_parameters(), found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9, msg=name)


@pytest.mark.parametrize("changed", ["gaps", "circumstances", "token"])
def test_a_purchase_reaches_itself_and_later_ones_of_its_sequence(
    encoder, sequences, trips, vectors, changed
):
    purchases = purchase_sequences(*sequences, trips)
    purchases = replace(purchases, gaps=purchases.gaps.double())
    before = encoder(purchases, vectors)
    key = sequences[0]
    at = int(np.flatnonzero(key == 4)[30])
    values = getattr(purchases, changed).clone()
    values[at] = (values[at] + 1) % 3
    after = encoder(replace(purchases, **{changed: values}), vectors)
    reached = np.flatnonzero((before != after).any(1))
    assert reached[0] == at
    assert set(reached) <= set(np.flatnonzero((key == 4) & (np.arange(len(key)) >= at)))
    assert len(reached) > 5  # the state remembers


def test_the_order_of_purchases_counts(encoder, vectors):
    """Gaps of 2 and 30 days, and of 30 and 2: as many, as old, as long since the last."""
    outs = []
    for days in ([0, 2, 32, 39], [0, 30, 32, 39]):
        trips = circumstances_of(4, day=days)
        sequences = np.zeros(4, dtype=int), np.ones(4, dtype=int), np.arange(4)
        outs.append(encode(encoder, sequences, trips, vectors)[-1])
    assert (outs[0] - outs[1]).abs().max() > 1e-3


def test_nothing_bought_is_no_row(encoder, trips, vectors):
    nothing = tuple(np.zeros(0, dtype=int) for _ in range(3))
    assert encode(encoder, nothing, trips, vectors).shape == (0, HIDDEN)
