"""Pieces that several tensors share: a map of a few numbers, and checks of shapes and dtypes.

Shape letters of the package: T trips (or item positions), F columns, N products, C categories.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SILU_SECOND_MOMENT = 0.3558
"""The mean of silu(z)^2 over a standard normal z."""


def number_map(inputs: int, width: int) -> nn.Sequential:
    """A small network from standardised numbers (..., inputs) to (..., width).

    Linear, SiLU, linear. For inputs of unit variance it starts with outputs of unit variance. The
    first bias is drawn like one more weight, so that a single number meets bends in many places.
    """
    first, second = nn.Linear(inputs, width), nn.Linear(width, width)
    nn.init.normal_(first.weight, std=(inputs + 1) ** -0.5)
    nn.init.normal_(first.bias, std=(inputs + 1) ** -0.5)
    nn.init.normal_(second.weight, std=(SILU_SECOND_MOMENT * width) ** -0.5)
    nn.init.zeros_(second.bias)
    return nn.Sequential(first, nn.SiLU(), second)


def expect_integers(name: str, values: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `values` holds integers and has this shape."""
    _expect_shape(name, values, shape)
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise ValueError(f"{name}: expected integers, not {values.dtype}")


def expect_numbers(name: str, values: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `values` holds floating-point numbers and has this shape."""
    _expect_shape(name, values, shape)
    if not values.is_floating_point():
        raise ValueError(f"{name}: expected floating-point numbers, not {values.dtype}")


def expect_flags(name: str, values: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `values` holds booleans and has this shape."""
    _expect_shape(name, values, shape)
    if values.dtype != torch.bool:
        raise ValueError(f"{name}: expected booleans, not {values.dtype}")


def _expect_shape(name: str, values: Tensor, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise ValueError(f"{name}: expected {tuple(shape)}, not {tuple(values.shape)}")
