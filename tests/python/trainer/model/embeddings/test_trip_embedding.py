"""T6: codes are in the order of the cache, parts of the output in that of the design."""

from __future__ import annotations

import pytest
import torch

from trainer.cache.schema import CONTEXT
from trainer.model.embeddings import TripEmbedding

CODES = {"size": 4, "sensitivity": 3, "type": 5, "focus": 6}
PARTS = {
    "type": slice(0, 16),
    "focus": slice(16, 32),
    "sensitivity": slice(32, 40),
    "size": slice(40, 48),
}


@pytest.fixture
def trip() -> TripEmbedding:
    torch.manual_seed(0)
    return TripEmbedding(CODES)


@pytest.mark.parametrize("name", PARTS)
def test_each_code_moves_its_part_only(trip, name):
    """Every label, including `unknown`, has a different vector."""
    column, labels = CONTEXT.index(name), CODES[name]
    codes = torch.ones(labels, 4, dtype=torch.int64)
    codes[:, column] = torch.arange(labels)
    output = trip(codes)
    for other, part in PARTS.items():
        assert len(output[:, part].unique(dim=0)) == (labels if other == name else 1)


def test_unknown_is_learned(trip):
    trip(torch.zeros(2, 4, dtype=torch.int64)).sum().backward()
    for embedding in trip.parts:
        assert embedding.weight.grad[0].eq(2).all()
        assert embedding.weight.grad[1:].eq(0).all()


@pytest.mark.parametrize("column, highest", [(0, 3), (1, 2), (2, 4), (3, 5)])
def test_codes_out_of_range_are_refused(trip, column, highest):
    codes = torch.zeros(1, 4, dtype=torch.int64)
    codes[0, column] = highest
    assert trip(codes).isfinite().all()
    codes[0, column] = highest + 1
    with pytest.raises(IndexError):
        trip(codes)
