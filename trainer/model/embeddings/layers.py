"""Pieces that several tensors share: a map of a few numbers, and checks of shapes and dtypes.

Shape letters of the package: T trips (or item positions), F columns, N products, C categories.
"""

from __future__ import annotations

from torch import nn

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
