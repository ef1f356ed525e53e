"""Checks of arguments: shapes and dtypes, with the argument's name in the message."""

from __future__ import annotations

import torch
from torch import Tensor


def expect_shape(name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError, naming the argument, unless the value has this shape."""
    if tuple(value.shape) != tuple(shape):
        raise ValueError(f"{name}: expected {tuple(shape)}, not {tuple(value.shape)}")


def expect_integers(name: str, values: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `values` holds integers and has this shape."""
    expect_shape(name, values, shape)
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise ValueError(f"{name}: expected integers, not {values.dtype}")


def expect_numbers(name: str, values: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `values` holds floating-point numbers and has this shape."""
    expect_shape(name, values, shape)
    if not values.is_floating_point():
        raise ValueError(f"{name}: expected floating-point numbers, not {values.dtype}")


def expect_flags(name: str, values: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `values` holds booleans and has this shape."""
    expect_shape(name, values, shape)
    if values.dtype != torch.bool:
        raise ValueError(f"{name}: expected booleans, not {values.dtype}")
