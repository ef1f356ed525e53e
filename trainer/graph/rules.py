"""Link scores that need no training: popularity, common categories, common neighbours.

Common neighbours a and b share count 1 / ln(degree) each (L. Adamic, E. Adar, "Friends and
neighbors on the Web", Social Networks 25, 2003).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from trainer.graph.holdout import Scorer
from trainer.graph.known import COPURCHASE, KnownGraph

TIE_BREAK = 1e-9
"""Weight of popularity (0..1), added where a rule scores many products equally."""


def link_rules(graph: KnownGraph) -> Iterator[tuple[str, Scorer]]:
    """Name and scorer of each rule, computed from the graph."""
    products = graph.products
    trips = graph.trips.double()
    popularity = trips / trips.max().clamp(min=1)
    adjacency = torch.zeros(products, products, dtype=torch.float64)
    first, second = graph.pairs[COPURCHASE].ends.unbind(1)
    adjacency[first, second] = 1
    adjacency += adjacency.T.clone()
    degree = adjacency.sum(1)
    path = graph.path[:products]

    def shared_levels(rows: Tensor) -> Tensor:
        same = path[rows].unsqueeze(1) == path  # (Q, products, levels)
        return (same & (path < graph.categories)).sum(2, dtype=torch.float64)

    def adamic_adar(rows: Tensor) -> Tensor:
        return adjacency[rows] / degree.clamp(min=2).log() @ adjacency

    yield "chance", lambda rows: torch.zeros(len(rows), products)
    yield "popularity", lambda rows: trips[rows].unsqueeze(1) * trips
    yield "degree", lambda rows: degree[rows].unsqueeze(1) * degree
    yield "common category", lambda rows: shared_levels(rows) + TIE_BREAK * popularity
    yield "common neighbours", lambda rows: adamic_adar(rows) + TIE_BREAK * popularity
