"""Degrees of nodes, and how they enter the network."""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.graph.known import Pairs

BUMPS = 16
MAX_LEVEL = 7.5
"""ln(degree + 1) of the last bump, a degree of 1,800; above it only the linear part varies."""


def degrees(pairs: Pairs, nodes: int) -> Tensor:
    """(nodes,) int64: number of pairs that each node is in."""
    return pairs.ends.flatten().bincount(minlength=nodes)


def degree_features(degree: Tensor) -> Tensor:
    """(K,) degrees, whole or not -> (K, 1 + BUMPS): ln(degree + 1), scaled, and bumps along it.

    A mean over neighbours does not depend on their number, so the degree is an input by itself.
    """
    level = (degree.float() + 1).log().unsqueeze(1) / MAX_LEVEL
    distance = (level - torch.linspace(0, 1, BUMPS)) * (BUMPS - 1)
    return torch.cat([level, (-(distance**2) / 2).exp()], dim=1)
