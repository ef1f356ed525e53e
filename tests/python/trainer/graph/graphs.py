"""Small product graphs written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from trainer.graph.known import KnownGraph, Pairs


def graph_of(
    products: int,
    copurchase: Mapping[tuple[int, int], float] | None = None,
    substitution: Mapping[tuple[int, int], float] | None = None,
    category: Sequence[int] | None = None,
    parent: Sequence[int] = (),
    trips: Sequence[int] | None = None,
) -> KnownGraph:
    """A graph of known nodes: pairs of products with weights, `category` of each product and
    `parent` of each category (-1 at the top), with hierarchy edges of weight 1."""
    categories = len(parent)
    chains = []
    for node in range(products + categories):
        at = (category[node] if category else -1) if node < products else node - products
        chain = []
        while at >= 0:
            chain.append(at)
            at = parent[at]
        chains.append((chain + [categories] * 4)[:4])
    below = {}
    if category:
        below |= {(product, products + row): 1.0 for product, row in enumerate(category)}
    below |= {
        (products + row, products + above): 1.0 for row, above in enumerate(parent) if above >= 0
    }
    attributes = torch.linspace(-1, 1, products + categories).unsqueeze(1)
    return KnownGraph(
        nodes=torch.arange(products + categories).numpy(),
        products=products,
        pairs=(_pairs(copurchase or {}), _pairs(substitution or {}), _pairs(below)),
        attributes=torch.cat([attributes, attributes**2], dim=1),
        path=torch.tensor(chains),
        trips=torch.tensor(trips or [1] * products),
    )


def _pairs(weights: Mapping[tuple[int, int], float]) -> Pairs:
    ends = torch.tensor(sorted(weights), dtype=torch.int64).reshape(-1, 2)
    return Pairs(ends, torch.tensor([float(weights[pair]) for pair in sorted(weights)]))
