"""The loss on the order of the first products, against a slow and obvious implementation."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from trainer.losses import LossWeights, Predictions, Targets, WorldModelLoss
from trainer.ranking_loss import CUTOFF, PLACES, RankingLoss

TOKENS = 60
ROWS = torch.tensor([0, 0, 1, 2, 2, 2, 4, *[5] * 12])
TARGETS = torch.tensor([3, 7, 2, 1, 5, 9, 11, *range(20, 32)])


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, TOKENS, generator=generator, dtype=torch.float64).requires_grad_()


def gain(place):
    return 1 / math.log2(place + 2) if place < CUTOFF else 0.0


def slow(logits):
    total = logits.new_zeros(())
    for question, scores in enumerate(logits):
        targets = TARGETS[question == ROWS].tolist()
        order = scores.argsort(descending=True).tolist()
        ideal = sum(gain(place) for place in range(min(CUTOFF, len(targets))))
        for target in targets:
            for place, other in enumerate(order[:PLACES]):
                if other not in targets:
                    swap = abs(gain(order.index(target)) - gain(place)) / ideal
                    total = total + swap * F.softplus(scores[other] - scores[target])
    return total


def test_value_and_gradient(logits):
    value, count = RankingLoss()(logits, TARGETS, ROWS)
    (gradient,) = torch.autograd.grad(value, logits)
    expected = slow(logits)
    (expected_gradient,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, expected_gradient)
    assert count == 5  # the fourth question has no target
    assert not gradient[3].any()


def test_a_perfect_order_far_ahead_costs_nothing():
    logits = torch.zeros(1, TOKENS)
    logits[0, [3, 7]] = 40.0
    value, _ = RankingLoss()(logits, torch.tensor([3, 7]), torch.tensor([0, 0]))
    assert value.item() == pytest.approx(0, abs=1e-6)


def test_following_it_raises_the_targets(logits):
    scores = logits.detach().float().clone().requires_grad_()
    optimiser = torch.optim.SGD([scores], lr=1.0)
    for _ in range(200):
        optimiser.zero_grad()
        RankingLoss()(scores, TARGETS, ROWS)[0].backward()
        optimiser.step()
    for question in ROWS.unique().tolist():
        targets = TARGETS[question == ROWS].tolist()
        first = scores[question].argsort(descending=True)[: len(targets)].tolist()
        assert len(set(first) & set(targets)) >= min(CUTOFF, len(targets))


def test_only_rows_of_trips_are_ordered(logits):
    """Replaced and kept items have rows of their own behind those of the trips."""
    targets = Targets(tokens=TARGETS, rows=ROWS, hidden=torch.zeros(5, dtype=torch.bool))
    loss = WorldModelLoss(LossWeights(0, 0, 0, 0, 0, ranking=1))
    total, parts = loss(Predictions(logits=logits), targets)
    kept = ROWS < 5
    value, count = RankingLoss()(logits[:5].float(), TARGETS[kept], ROWS[kept])
    assert parts["ranking_count"] == count == 4
    assert total.item() == pytest.approx((value / count).item(), rel=1e-5)
    with pytest.raises(ValueError, match="rows"):
        loss(Predictions(logits=logits), Targets(tokens=TARGETS, hidden=targets.hidden))
