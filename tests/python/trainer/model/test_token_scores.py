"""Logits in parts: their sum, and the focal loss from them with all its gradients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from trainer.model.token_scores import TokenScores
from trainer.training.loss_parts import FocalLoss

ROWS, QUESTIONS, CHANNELS, TOKENS, GROUPS = 7, 5, 4, 11, 4


def made(dtype=torch.float64, seed=0):
    """Random scores: question 2 has no history, questions 0 and 4 have two rows."""
    draw = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64).to(dtype).requires_grad_()

    question = torch.tensor([0, 1, 2, 3, 4, 0, 4])
    return TokenScores(
        z=random(ROWS, CHANNELS),
        vectors=random(TOKENS, CHANNELS),
        tables=(
            (random(3, TOKENS), torch.tensor([2, 0, 0, 1, 2])[question]),
            (random(2, TOKENS), torch.tensor([0, 1, 1, 0, 1])[question]),
        ),
        groups=(
            random(2, GROUPS),
            torch.tensor([1, 0, 0, 1, 1])[question],
            torch.tensor([3, 0, 1, 0, 2, 2, 0, 1, 1, 0, 3]),
        ),
        history=random(8),
        entries=(
            torch.tensor([0, 0, 1, 3, 3, 3, 4, 4, 5, 5, 6, 6]),
            torch.tensor([1, 5, 2, 9, 1, 3, 7, 2, 1, 5, 7, 2]),
            torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 6, 7]),
        ),
        absent=(torch.tensor([0, 3, 3, 5]), torch.tensor([8, 10, 7, 8])),
    )


def leaves(scores):
    tables = (table for table, _ in scores.tables)
    return [scores.z, scores.vectors, scores.history, scores.groups[0], *tables]


TARGETS = (
    torch.tensor([1, 5, 2, 9, 4, 7, 7]),
    torch.tensor([0.5, 1, 2, 0.25, 1, 1, 3]),
    torch.tensor([3, 0, 0, 2, 6, 5, 4]),  # row 1 has no target, row 0 two
)


def test_dense_by_hand():
    scores = made()
    (kinds, kind), (weeks, week) = scores.tables
    table, of_row, group = scores.groups
    for row in range(ROWS):
        expected = scores.vectors @ scores.z[row]
        expected = expected + kinds[kind[row]] + weeks[week[row]]
        for token in range(TOKENS):
            shared = table[of_row[row], group[token]]
            expected = expected + shared * torch.eye(TOKENS)[token]
        for of, token, entry in zip(*scores.entries, strict=True):
            if of == row:
                expected = expected + scores.history[entry] * torch.eye(TOKENS)[token]
        for of, token in zip(*scores.absent, strict=True):
            if of == row:
                expected = expected.index_fill(0, token, -torch.inf)
        torch.testing.assert_close(scores.dense()[row], expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("block", [1, 3 * TOKENS, 1 << 17])
def test_focal_is_that_of_the_dense_logits(monkeypatch, gamma, block):
    """Loss and every gradient, whatever the number of rows in a block."""
    monkeypatch.setattr("trainer.model.token_scores.BLOCK", block)
    dense, parts = made(), made()
    targets, weights, rows = TARGETS
    expected, _ = FocalLoss(gamma)(dense.dense(), targets, weights, rows)
    loss = parts.focal(targets, weights, rows, gamma)
    torch.testing.assert_close(loss, expected)
    (0.3 * expected).backward()
    (0.3 * loss).backward()
    for found, expected in zip(leaves(parts), leaves(dense), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)


def test_tokens_of_probability_zero_have_no_gradient():
    scores = made()
    (kinds, kind), weeks = scores.tables
    shut = kinds.detach().clone()
    shut[:, 3] = -torch.inf
    shut.requires_grad_()
    scores = replace(scores, tables=((shut, kind), weeks))
    targets, weights, rows = TARGETS
    scores.focal(targets, weights, rows, 2.0).backward()
    assert all(leaf.grad.isfinite().all() for leaf in leaves(scores))
    assert not scores.vectors.grad[3].any() and not shut.grad[:, 3].any()


@pytest.mark.parametrize("parts", [torch.float32, torch.bfloat16])
def test_bfloat16_is_close(parts):
    """Products in bfloat16 have 8 bits: gradients agree within 2 % of their norm.

    parts: the dtype of what comes from the network, bfloat16 under autocast of the model.
    """
    exact, rounded = made(torch.float32), made(torch.float32)
    given = replace(
        rounded,
        z=rounded.z.to(parts),
        vectors=rounded.vectors.to(parts),
        history=rounded.history.to(parts),
    )
    (0.37 * exact.focal(*TARGETS, 2.0)).backward()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = given.focal(*TARGETS, 2.0)
    (0.37 * loss).backward()
    for found, expected in zip(leaves(rounded), leaves(exact), strict=True):
        assert found.grad.dtype == torch.float32
        assert (found.grad - expected.grad).norm() < 0.02 * expected.grad.norm()
    assert not torch.equal(rounded.z.grad, exact.z.grad)


def test_without_targets_the_loss_is_zero():
    scores = made()
    none = torch.zeros(0, dtype=torch.long)
    loss = scores.focal(none, torch.zeros(0), none, 2.0)
    loss.backward()
    assert loss == 0
    assert not any(leaf.grad.any() for leaf in leaves(scores))


@pytest.mark.parametrize("rows", [slice(0, 3), slice(2, 6), slice(5, 99), slice(3, 3)])
def test_a_part_of_the_rows(rows):
    scores = made()
    torch.testing.assert_close(scores.cut(rows).dense(), scores.dense()[rows])


@pytest.mark.parametrize("cells", [1, 3 * TOKENS, 1 << 21])
def test_the_highest_are_those_of_the_dense_logits(monkeypatch, cells):
    monkeypatch.setattr("trainer.model.token_scores.DENSE", cells)
    scores = made()
    values, tokens = scores.top(4)
    expected = scores.dense().topk(4, dim=1)
    torch.testing.assert_close(values, expected.values)
    assert torch.equal(tokens, expected.indices)


def test_the_parts_of_a_logit_add_up_to_it():
    scores = made()
    dense = scores.dense()
    for row in range(ROWS):
        for token in range(TOKENS):
            if dense[row, token].isfinite():
                total = sum(scores.parts(row, token).values())
                assert total == pytest.approx(dense[row, token].item())
    parts = scores.parts(3, 9)  # question 3, which bought product 9: its fourth entry
    assert parts["history"] == scores.history[3].item()
    assert parts["table 2"] == scores.tables[1][0][0, 9].item()
    assert parts.keys() == {"network", "table 1", "table 2", "group", "history"}
