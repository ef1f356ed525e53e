"""The decoder: computing only some tokens does not change them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainer.batches.packing import pack_baskets, pack_queries
from trainer.model.decoder import BasketDecoder

WIDTH = 16
LENGTHS = np.array([1, 4, 1, 9, 2, 30])


@pytest.fixture(params=[1, 2])
def decoder(request):
    torch.manual_seed(0)
    made = BasketDecoder(WIDTH, request.param, heads=4, hidden=24, dropout=0.1)
    return made.double().eval()


def inputs():
    draw = torch.Generator().manual_seed(1)
    return torch.randn(int(LENGTHS.sum()), WIDTH, generator=draw, dtype=torch.float64)


def answers(decoder, rows):
    """The decoder's output for these tokens."""
    question = np.repeat(np.arange(len(LENGTHS)), LENGTHS)[rows]
    query_baskets = pack_queries(LENGTHS, question)
    return decoder(inputs(), pack_baskets(LENGTHS), torch.from_numpy(rows), query_baskets)


def test_some_tokens_are_as_among_all(decoder):
    every = np.arange(LENGTHS.sum())
    some = np.array([0, 1, 5, 6, 15, 17, 16, 46, 9])
    torch.testing.assert_close(answers(decoder, some), answers(decoder, every)[some])


def test_dropout_is_for_training_only(decoder):
    every = np.arange(LENGTHS.sum())
    fixed = answers(decoder, every)
    assert torch.equal(fixed, answers(decoder, every))
    decoder.train()
    assert not torch.equal(fixed, answers(decoder, every))
