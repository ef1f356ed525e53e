"""The loss of link prediction: asked pairs against shared negatives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LinkLoss(nn.Module):
    """Logistic loss of asked pairs and of their ends against random nodes.

    T. Mikolov and others, "Distributed representations of words and phrases and their
    compositionality" (2013, arXiv:1310.4546), equation 4, with the mean instead of the sum over
    negatives, and true pairs among them left out. The logit of a pair is the dot product of its
    vectors less one learnt number. At the optimum it is, up to a constant, the log of how much
    likelier the pair is than the draw of its end as a negative, (degree + 1)^power (O. Levy,
    Y. Goldberg, 2014): the vectors leave out the popularity that the draw puts in.
    """

    def __init__(self, pairs: Tensor, nodes: int, candidates: int, power: float) -> None:
        """pairs (E, 2): all pairs that may be asked, among nodes 0..candidates-1 of `nodes`."""
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(4.0))
        self.nodes = nodes
        both = torch.cat([pairs, pairs.flip(1)])
        self.source, self.partner = both.unbind(1)  # (2E,) each
        self.chance = (self.source.bincount(minlength=candidates) + 1.0) ** power

    def forward(self, vectors: Tensor, source: Tensor, partner: Tensor, negatives: int) -> Tensor:
        """vectors (K, width); source, partner (A,) nodes that belong together -> mean loss.

        Each source is compared with `negatives` draws, the same for all.
        """
        rows, row = source.unique(return_inverse=True)
        drawn = self.chance.multinomial(negatives, replacement=True)
        drawn, times = drawn.unique(return_counts=True)  # (C,) each
        against = F.softplus(vectors[rows] @ vectors[drawn].T - self.threshold)  # (rows, C)
        against = against.masked_fill(self._linked(rows, drawn), 0)
        against = (against * times).sum(1) / negatives
        score = (vectors[source] * vectors[partner]).sum(1) - self.threshold
        return (F.softplus(-score) + against[row]).mean()

    def _linked(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(rows, columns) bool: the two are linked, or the same node; both ascending, distinct."""
        at_row, at_column = (torch.full((self.nodes,), -1) for _ in range(2))
        at_row[rows] = torch.arange(len(rows))
        at_column[columns] = torch.arange(len(columns))
        linked = torch.zeros(len(rows), len(columns), dtype=torch.bool)
        itself = torch.arange(self.nodes)
        for source, partner in ((self.source, self.partner), (itself, itself)):
            row, column = at_row[source], at_column[partner]
            both = (row >= 0) & (column >= 0)
            linked[row[both], column[both]] = True
        return linked
