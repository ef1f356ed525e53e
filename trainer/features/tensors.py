"""Dataclasses of tensors, and counts of indices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

Part = TypeVar("Part")


def map_tensors(part: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same dataclass, tuple, dict or tensor with every tensor changed."""
    if isinstance(part, Tensor):
        return change(part)
    if isinstance(part, tuple):
        return tuple(map_tensors(value, change) for value in part)
    if isinstance(part, dict):
        return {name: map_tensors(value, change) for name, value in part.items()}
    if is_dataclass(part):
        return replace(
            part, **{f.name: map_tensors(getattr(part, f.name), change) for f in fields(part)}
        )
    return part


def concatenate(parts: Sequence[Part]) -> Part:
    """Dataclasses, tuples or dicts of the same form, each tensor one after the other along its
    first dimension."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(parts)
    if isinstance(first, tuple):
        return tuple(concatenate(values) for values in zip(*parts, strict=True))
    if isinstance(first, dict):
        return {name: concatenate([part[name] for part in parts]) for name in first}
    joined = {f.name: concatenate([getattr(part, f.name) for part in parts]) for f in fields(first)}
    return replace(first, **joined)


class TensorRecord:
    """Dataclasses of tensors, of tuples and dicts of them and of each other."""

    def to(self: Part, device: torch.device | str) -> Part:
        """The same on a device; copies from pinned memory are asynchronous."""
        return map_tensors(self, lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self: Part) -> Part:
        """The same in page-locked memory (torch's loaders call this)."""
        return map_tensors(self, lambda tensor: tensor.pin_memory())


def occurrences(index: Tensor, count: int) -> Tensor:
    """How often each of 0..count-1 is in index (n,), (count,) int64.

    Like torch.bincount, which makes a GPU synchronise to know the length of its result.
    """
    return index.new_zeros(count).index_add_(0, index, torch.ones_like(index))
