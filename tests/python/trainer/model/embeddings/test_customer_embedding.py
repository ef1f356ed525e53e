"""T1: the cold-start blend, and what each part reads."""

from __future__ import annotations

import pytest
import torch

from trainer.model.embeddings import CustomerEmbedding
from trainer.model.embeddings.standardiser import Standardiser

SEGMENTS, HISTORY, AFFINITY = slice(0, 64), slice(64, 160), slice(160, 192)


@pytest.fixture
def customer() -> CustomerEmbedding:
    torch.manual_seed(0)
    identity = [
        Standardiser(torch.zeros(n), torch.ones(n), torch.zeros(n, dtype=torch.bool))
        for n in (4, 3)
    ]
    return CustomerEmbedding(3, 2, *identity)


def arguments(b: float = 0.25, trips: int = 3, seed: int = 1, **changed) -> dict:
    draw = torch.Generator().manual_seed(seed)
    return {
        "segments": torch.randint(0, 3, (trips, 2), generator=draw),
        "history": torch.randn(trips, 4, generator=draw),
        "affinity": torch.randn(trips, 3, generator=draw),
        "at_primary": torch.zeros(trips, dtype=torch.bool),
        "history_weight": torch.full((trips,), b),
        "has_history": torch.ones(trips, dtype=torch.bool),
    } | changed


def test_without_trips_only_segments_count(customer):
    output = customer(**arguments(0.0))
    other = arguments(0.0, seed=2)
    assert output[:, HISTORY].eq(0).all()
    assert torch.equal(output, customer(**arguments(0.0, history=other["history"])))
    assert not torch.equal(output, customer(**arguments(0.0, segments=torch.zeros(3, 2).long())))


def test_with_full_history_segments_do_not_count(customer):
    output = customer(**arguments(1.0))
    assert output[:, SEGMENTS].eq(0).all()
    for segments in torch.cartesian_prod(torch.arange(4), torch.arange(3)):
        changed = arguments(1.0, segments=segments.expand(3, 2))
        assert torch.equal(output, customer(**changed))
    assert not torch.equal(output, customer(**arguments(1.0, history=torch.zeros(3, 4))))


def test_blend_is_linear_in_b(customer):
    """Exactly: a quarter of a float and three quarters of one are correctly rounded."""
    start, end = customer(**arguments(0.0)), customer(**arguments(1.0))
    output = customer(**arguments(0.25))
    assert torch.equal(output[:, SEGMENTS], 0.75 * start[:, SEGMENTS])
    assert torch.equal(output[:, HISTORY], 0.25 * end[:, HISTORY])
    assert torch.equal(output[:, AFFINITY], start[:, AFFINITY])


def test_the_next_linear_map_adds_the_parts(customer):
    """A map of T1 is a map of (1 - b) segments plus one of b history plus one of affinity."""
    customer.double()
    weight = torch.randn(192, 8, dtype=torch.float64)
    parts = customer(**arguments(0.25)) @ weight
    segments = customer(**arguments(0.0))[:, SEGMENTS] @ weight[SEGMENTS]
    ends = customer(**arguments(1.0))
    history = ends[:, HISTORY] @ weight[HISTORY]
    expected = 0.75 * segments + 0.25 * history + ends[:, AFFINITY] @ weight[AFFINITY]
    torch.testing.assert_close(parts, expected)


def test_affinity_is_zero_without_trips(customer):
    has_history = torch.tensor([True, False, True])
    affinity = arguments()["affinity"].requires_grad_()
    output = customer(**arguments(affinity=affinity, has_history=has_history))
    assert output[:, AFFINITY].eq(0).all(1).tolist() == [False, True, False]
    output[:, AFFINITY].sum().backward()
    assert affinity.grad.eq(0).all(1).tolist() == [False, True, False]


def test_each_input_moves_its_part_only(customer):
    base = customer(**arguments())
    moved = {
        "segments": {"segments": torch.full((3, 2), 0)},
        "history": {"history": torch.ones(3, 4)},
        "affinity": {"affinity": torch.ones(3, 3)},
        "at_primary": {"at_primary": torch.ones(3, dtype=torch.bool)},
    }
    part_of = {"segments": 0, "history": 1, "affinity": 2, "at_primary": 2}
    for name, change in moved.items():
        output = customer(**arguments(**change))
        differs = [not torch.equal(output[:, p], base[:, p]) for p in (SEGMENTS, HISTORY, AFFINITY)]
        assert differs == [part == part_of[name] for part in range(3)], name


def test_unknown_segments_are_learned_and_distinct(customer):
    codes = torch.tensor([[0, 0], [1, 0], [0, 1]])
    output = customer(**arguments(0.0, segments=codes))[:, SEGMENTS]
    assert len(output.unique(dim=0)) == 3
    assert torch.equal(output[0, :32], output[2, :32])  # price sensitivity first
    assert torch.equal(output[0, 32:], output[1, 32:])
    output.sum().backward()
    assert customer.price_sensitivity.weight.grad[0].ne(0).all()
    assert customer.lifestage.weight.grad[0].ne(0).all()


@pytest.mark.parametrize("code", [[4, 0], [0, 3], [-1, 0]])
def test_codes_out_of_range_are_refused(customer, code):
    with pytest.raises(IndexError):
        customer(**arguments(segments=torch.tensor([code] * 3)))
