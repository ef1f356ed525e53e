"""Sequences packed into rows, identified by an id per step."""

import torch.nn.functional as F
from torch import Tensor


def segments(seq_idx: Tensor) -> Tensor:
    """Number the runs of equal ids along each row from 0; an id that occurs again later is a new
    sequence."""
    changes = (seq_idx[:, 1:] != seq_idx[:, :-1]).cumsum(1)
    return F.pad(changes, (1, 0))


def check_integer(seq_idx: Tensor) -> None:
    """Raise ValueError unless the ids are integers."""
    if seq_idx.dtype.is_floating_point or seq_idx.dtype.is_complex:
        raise ValueError(f"seq_idx must be integers, got {seq_idx.dtype}")
