"""Packing: places of sequences and baskets, without overlap or loss."""

import numpy as np
import pytest
import torch

from trainer.batches.packing import pack_baskets, pack_queries, pack_rows, sequence_ids
from trainer.cache.ragged import offsets, ranges


def test_ranges_by_hand():
    assert ranges([5, 0, 9], [2, 0, 3]).tolist() == [5, 6, 9, 10, 11]
    assert ranges([], []).tolist() == []
    assert offsets([2, 0, 3]).tolist() == [0, 2, 2, 5]


def test_rows_by_hand():
    # 6 + 5 + 4 + 1 steps: two rows of 8 hold 6 + 1 and 5 + 4 only at length 12; one row of 16 is as
    # large as two of 8 would be, and 24 steps are lost to two of 12.
    rows = pack_rows([4, 6, 1, 5], chunk=4)
    assert (rows.rows, rows.length) == (1, 16)
    assert rows.start.tolist() == [11, 0, 15, 6]
    # Four equal ones fit four rows without waste; more rows are better at no cost.
    rows = pack_rows([8, 8, 8, 8], chunk=4)
    assert (rows.rows, rows.length) == (4, 8)
    assert sorted(rows.row.tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(5))
def test_rows_hold_every_sequence_once(seed):
    lengths = np.random.default_rng(seed).geometric(0.03, 60)
    rows = pack_rows(lengths, chunk=16)
    assert rows.length % 16 == 0
    ids = sequence_ids(rows, lengths)
    assert ids.shape == (rows.rows, rows.length)
    for sequence, length in enumerate(lengths, start=1):
        row, step = np.nonzero(ids == sequence)
        assert len(step) == length  # nobody wrote over it
        assert len(set(row)) == 1 and np.array_equal(step, step[0] + np.arange(length))
    assert 1 - lengths.sum() / ids.size < 0.1


def test_one_long_sequence_does_not_blow_up_the_rest():
    lengths = np.array([900, *[10] * 90])
    rows = pack_rows(lengths, chunk=64)
    assert rows.rows * rows.length <= 1.1 * lengths.sum()


@pytest.mark.parametrize("lengths", [[], [3, 0]])
def test_rows_refuse_empty_sequences(lengths):
    with pytest.raises(ValueError, match="at least one step"):
        pack_rows(lengths, chunk=4)


def test_buckets_by_hand():
    # Baskets of 0, 0, 3, 10, 12, 13, 50, 61 and 200 items, and the [MASK] of each.
    baskets = pack_baskets(np.array([0, 0, 3, 10, 12, 13, 50, 61, 200]) + 1)
    assert [bucket.question.tolist() for bucket in baskets.buckets] == [
        [0, 1], [2], [3, 4], [5], [6], [7, 8],
    ]  # fmt: skip
    assert [bucket.valid.shape[1] for bucket in baskets.buckets] == [1, 4, 13, 14, 51, 201]
    assert baskets.buckets[2].valid.sum(1).tolist() == [11, 13]


def assert_keys_are_of_the_question(baskets, lengths):
    """Each row attends to the tokens of its question, the [MASK] first."""
    question = torch.repeat_interleave(torch.from_numpy(lengths))
    for bucket in baskets.buckets:
        assert (question[bucket.token] == bucket.question[:, None]).all()
        assert bucket.valid[:, 0].all()
        assert torch.equal(bucket.token[:, 0], torch.from_numpy(offsets(lengths))[bucket.question])
        for row, token, valid in zip(bucket.question, bucket.token, bucket.valid, strict=True):
            assert len(set(token[valid].tolist())) == lengths[row]


def test_padded_and_flat_again_is_the_same():
    lengths = np.random.default_rng(0).integers(1, 70, 50)
    baskets = pack_baskets(lengths)
    flat = torch.randn(int(lengths.sum()), 3)
    padded = [flat[bucket.query] for bucket in baskets.buckets]
    assert torch.equal(baskets.flat(padded), flat)
    assert_keys_are_of_the_question(baskets, lengths)


def test_single_query_tokens_keep_their_order():
    draw = np.random.default_rng(0)
    lengths = draw.integers(1, 70, 50)
    question = np.concatenate([np.arange(50), draw.integers(0, 50, 20)])
    baskets = pack_queries(lengths, question)
    flat = torch.randn(70, 3)
    padded = [flat[bucket.query] for bucket in baskets.buckets]
    assert all(part.shape[1] == 1 for part in padded)
    assert torch.equal(baskets.flat(padded), flat)
    for bucket in baskets.buckets:
        assert torch.equal(bucket.question, torch.from_numpy(question)[bucket.query[:, 0]])
    assert_keys_are_of_the_question(baskets, lengths)


@pytest.mark.parametrize("seed", range(3))
def test_little_of_the_attention_is_padding(seed):
    """Realistic baskets: most fully hidden, the others mostly small."""
    draw = np.random.default_rng(seed)
    lengths = np.where(draw.random(2000) < 0.5, 1, draw.geometric(0.2, 2000))
    baskets = pack_baskets(lengths)
    slots = sum(bucket.valid.numel() for bucket in baskets.buckets)
    assert 1 - lengths.sum() / slots < 0.05
