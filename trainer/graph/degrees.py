"""Degrees of nodes, and how they enter the network."""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.graph.known import Pairs

BUMPS = 16
LARGEST = 7.5
"""ln(degree + 1) of the last bump, a degree of 1,800; beyond, only the linear part tells."""


def degrees(pairs: Pairs, nodes: int) -> Tensor:
    """(nodes,) int64: how many of the pairs each node has a part in."""
    return pairs.ends.flatten().bincount(minlength=nodes)


def degree_features(degree: Tensor) -> Tensor:
    """(K,) degrees, whole or not -> (K, 1 + BUMPS): ln(degree + 1), scaled, and bumps along it.

    A mean of neighbours does not show how many they are.
    """
    level = (degree.float() + 1).log().unsqueeze(1) / LARGEST
    distance = (level - torch.linspace(0, 1, BUMPS)) * (BUMPS - 1)
    return torch.cat([level, (-(distance**2) / 2).exp()], dim=1)
