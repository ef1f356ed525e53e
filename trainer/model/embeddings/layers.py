"""What several tensors share: a small network for a few numbers.

Shape letters of the package: T trips (or item positions), F columns, N products, C categories.
"""

from __future__ import annotations

from torch import nn

SILU_SECOND_MOMENT = 0.3558
"""The mean of silu(z)^2 over a standard normal z."""


def number_map(inputs: int, width: int) -> nn.Sequential:
    """A small network from standardised numbers (..., inputs) to (..., width).

    Linear, SiLU, linear. Inputs of unit variance give outputs of unit variance at the start. The
    first bias is drawn like one more weight, so that even for a single number the units bend at
    different places.
    """
    first, second = nn.Linear(inputs, width), nn.Linear(width, width)
    nn.init.normal_(first.weight, std=(inputs + 1) ** -0.5)
    nn.init.normal_(first.bias, std=(inputs + 1) ** -0.5)
    nn.init.normal_(second.weight, std=(SILU_SECOND_MOMENT * width) ** -0.5)
    nn.init.zeros_(second.bias)
    return nn.Sequential(first, nn.SiLU(), second)
