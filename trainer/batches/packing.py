"""Packing: timelines into rows of whole chunks, baskets into buckets of similar length."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from trainer.batches.batch import Baskets, Bucket
from trainer.cache.ragged import offsets

BUCKETS = (0, 1, 2, 3, 4, 5, 7, 9, 12, 15, 19, 24, 30, 38, 48, 60)
"""The most visible items of each decoder bucket; one more bucket holds the longer baskets. Fully
hidden baskets, more than half of a training batch, need one slot only."""


@dataclass(frozen=True)
class Rows:
    """Where sequences lie in rows of one length."""

    row: np.ndarray
    """(n,) row of each sequence."""
    start: np.ndarray
    """(n,) its first step in the row."""
    rows: int
    length: int


def pack_rows(lengths: np.ndarray, chunk: int) -> Rows:
    """Put sequences of these lengths (n,) into rows, each of the same whole number of chunks.

    Several row lengths are tried. For each, the sequences, longest first, go to the emptiest row
    (Graham, Bounds on Multiprocessing Timing Anomalies, 1969); the row length with the fewest steps
    in all is kept, the shortest one of equals. Raises ValueError for no sequence or an empty one.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    if not len(lengths) or lengths.min() < 1:
        raise ValueError("sequences of at least one step are needed")
    total, longest = int(lengths.sum()), int(lengths.max())
    chunks = np.arange(-(-longest // chunk), -(-total // chunk) + 1)  # per row
    best = None
    for rows in np.unique(-(-total // (chunks * chunk))):
        packed = _pack(lengths, int(rows), chunk)
        if best is None or packed.rows * packed.length <= best.rows * best.length:
            best = packed
    return best


def _pack(lengths: np.ndarray, rows: int, chunk: int) -> Rows:
    row, start = np.empty_like(lengths), np.empty_like(lengths)
    filled = [(0, index) for index in range(rows)]
    for sequence in np.argsort(-lengths, kind="stable"):
        used, index = heapq.heappop(filled)
        row[sequence], start[sequence] = index, used
        heapq.heappush(filled, (used + int(lengths[sequence]), index))
    longest = max(used for used, _ in filled)
    return Rows(row, start, rows, -(-longest // chunk) * chunk)


def sequence_ids(rows: Rows, lengths: np.ndarray) -> np.ndarray:
    """(rows, length) int32: 1.. for the steps of each sequence, 0 for padding at a row's end."""
    ids = np.zeros((rows.rows, rows.length), dtype=np.int32)
    for sequence, (row, start, length) in enumerate(
        zip(rows.row, rows.start, lengths, strict=True), start=1
    ):
        ids[row, start : start + length] = sequence
    return ids


def pack_baskets(lengths: np.ndarray) -> Baskets:
    """Buckets of questions whose decoder rows have these lengths (Q,), `[MASK]` included.

    The decoder tokens lie question by question. Every token attends to all tokens of its question.
    """
    buckets, before = [], 0
    place = np.empty(np.sum(lengths), dtype=np.int64)
    for question, token, valid in _by_length(np.asarray(lengths, dtype=np.int64)):
        place[token[valid]] = before + np.flatnonzero(valid)
        before += valid.size
        buckets.append(_bucket(question, token, token, valid))
    return Baskets(tuple(buckets), torch.from_numpy(place))


def pack_queries(lengths: np.ndarray, question: np.ndarray) -> Baskets:
    """The same baskets, one row for each of some query tokens, those of questions (R,).

    What only these tokens need is not computed for the others.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    buckets, order = [], []
    first = offsets(lengths)[:-1]
    for row, slot, valid in _by_length(lengths[question]):
        token = first[question[row], None] + slot - slot[:, :1]
        buckets.append(_bucket(question[row], row[:, None], token, valid))
        order.append(row)
    place = np.empty(len(question), dtype=np.int64)
    place[np.concatenate(order)] = np.arange(len(question))
    return Baskets(tuple(buckets), torch.from_numpy(place))


def _by_length(lengths: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Per bucket: its rows (n,), slots (n, S) counted over all rows, and which are not padding."""
    first = offsets(lengths)[:-1]
    bucket_of_row = np.searchsorted(BUCKETS, lengths - 1)  # without the [MASK]
    for bucket in np.unique(bucket_of_row):
        row = np.flatnonzero(bucket_of_row == bucket)
        slots = np.arange(lengths[row].max())
        valid = slots < lengths[row, None]
        yield row, first[row, None] + np.where(valid, slots, 0), valid


def _bucket(*parts: np.ndarray) -> Bucket:
    return Bucket(*(torch.from_numpy(part) for part in parts))
