"""GraphSAGE with edge types: a node's vector is made from weighted means of its neighbours'.

W. Hamilton, R. Ying, J. Leskovec, "Inductive representation learning on large graphs" (2017,
arXiv:1706.02216), algorithm 1 with the mean aggregator, over all neighbours instead of a sample;
one matrix per edge type as in M. Schlichtkrull and others, "Modeling relational data with graph
convolutional networks" (2018, arXiv:1703.06103), equation 2:

    h_v' = act(W_self h_v + b + sum_r W_r sum_{u in N_r(v)} (w_uv / sum_{u'} w_u'v) h_u)

Shape letters: K known nodes, E directed edges, I and O widths.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.graph.config import SageConfig
from trainer.graph.degrees import BUMPS
from trainer.graph.known import COPURCHASE, HIERARCHY, SUBSTITUTION, KnownGraph, Pairs


class Neighbours:
    """The neighbours of one edge type with their weights, ready for means."""

    def __init__(self, target: Tensor, source: Tensor, weight: Tensor) -> None:
        """target, source (E,) int64 nodes: source is a neighbour of target; weight (E,) above 0."""
        self.rows, position, count = target.unique(return_inverse=True, return_counts=True)
        """(R,) int64 ascending: the nodes that have neighbours of this type."""
        order = position.argsort(stable=True)
        self._source = source[order]
        self._first = count.cumsum(0) - count  # (R,): where the neighbours of a row start
        total = weight.new_zeros(len(self.rows)).index_add(0, position, weight)
        self._share = (weight / total[position])[order]

    @classmethod
    def both_ways(cls, pairs: Pairs) -> Neighbours:
        """Each end of a pair is a neighbour of the other."""
        first, second = pairs.ends.unbind(1)
        return cls(torch.cat([first, second]), torch.cat([second, first]), pairs.weight.repeat(2))

    def mean(self, x: Tensor) -> Tensor:
        """x (K, I) -> (R, I): the weighted mean of each row's neighbours; weights add up to 1."""
        return F.embedding_bag(
            self._source, x, self._first, mode="sum", per_sample_weights=self._share
        )


def message_paths(graph: KnownGraph) -> tuple[Neighbours, ...]:
    """Sources of messages: co-purchases, substitutes, the category above, children below."""
    below, above = graph.pairs[HIERARCHY].ends.unbind(1)
    weight = graph.pairs[HIERARCHY].weight
    return (
        Neighbours.both_ways(graph.pairs[COPURCHASE]),
        Neighbours.both_ways(graph.pairs[SUBSTITUTION]),
        Neighbours(below, above, weight),
        Neighbours(above, below, weight),
    )


PATHS = 4
"""Length of `message_paths`."""


class SageLayer(nn.Module):
    """One aggregation: the node itself and, per path, the mean of its neighbours."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.itself = nn.Linear(width_in, width_out)
        self.neighbours = nn.ModuleList(
            nn.Linear(width_in, width_out, bias=False) for _ in range(PATHS)
        )

    def forward(self, x: Tensor, paths: tuple[Neighbours, ...]) -> Tensor:
        """x (K, I) -> (K, O), before the non-linearity. Nodes without neighbours add 0."""
        y = self.itself(x)
        for path, linear in zip(paths, self.neighbours, strict=True):
            y = y.index_add(0, path.rows, linear(path.mean(x)))
        return y


class GraphSage(nn.Module):
    """Two layers over inputs that nodes share: categories, attributes, degree.

    Nodes have no embeddings, which could memorise single links. Categories have one each, shared by
    their products and subcategories.
    """

    def __init__(self, graph: KnownGraph, config: SageConfig) -> None:
        super().__init__()
        self.register_buffer("attributes", graph.attributes)
        self.register_buffer("path", graph.path)
        self.category = nn.EmbeddingBag(
            graph.categories + 1, config.width_in, mode="sum", padding_idx=graph.categories
        )
        nn.init.normal_(self.category.weight, std=0.1)
        features = graph.attributes.shape[1] + 1 + BUMPS
        self.from_features = nn.Linear(features, config.width_in, bias=False)
        nn.init.normal_(self.from_features.weight, std=0.13)
        self.first = SageLayer(config.width_in, config.width_hidden)
        self.second = SageLayer(config.width_hidden, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, degree: Tensor, paths: tuple[Neighbours, ...]) -> Tensor:
        """degree (K, 1 + BUMPS) from `degree_features` -> (K, width) vectors of the known nodes."""
        features = torch.cat([self.attributes, degree], dim=1)
        x = self.category(self.path) + self.from_features(features)
        h = F.gelu(self.first(self.dropout(x), paths))
        return self.second(self.dropout(h), paths)
