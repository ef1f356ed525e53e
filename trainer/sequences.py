"""Ragged data: sequences in packed rows, told apart by an id per step, and groups by index."""

import torch
import torch.nn.functional as F
from torch import Tensor


def segments(seq_idx: Tensor) -> Tensor:
    """Number the runs of equal ids along each row from 0: an id that returns is a new sequence."""
    changes = (seq_idx[:, 1:] != seq_idx[:, :-1]).cumsum(1)
    return F.pad(changes, (1, 0))


def occurrences(index: Tensor, count: int) -> Tensor:
    """How often each of 0..count-1 is in index (n,), (count,) int64.

    As torch.bincount, which has a GPU wait to learn how long its result is.
    """
    return index.new_zeros(count).index_add_(0, index, torch.ones_like(index))


def expect_shape(name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError, naming the argument, unless the value has this shape."""
    if tuple(value.shape) != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, got {tuple(value.shape)}")


def check_integer(seq_idx: Tensor) -> None:
    """Raise ValueError unless the ids are integers."""
    if seq_idx.dtype.is_floating_point or seq_idx.dtype.is_complex:
        raise ValueError(f"seq_idx must be integers, got {seq_idx.dtype}")
