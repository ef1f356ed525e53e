"""The loss of link prediction: true pairs against shared negatives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LinkLoss(nn.Module):
    """Logistic loss of true pairs, and of their ends paired with random nodes.

    T. Mikolov and others, "Distributed representations of words and phrases and their
    compositionality" (2013, arXiv:1310.4546), equation 4, with the mean instead of the sum over
    negatives, and true pairs among the negatives ignored. The logit of a pair is the dot product
    of its vectors less a learnt threshold. At the optimum it is, up to a constant, the log ratio
    of the pair's probability to that of its end as a negative, (degree + 1)^power (O. Levy,
    Y. Goldberg, 2014): the vectors need not express popularity, which the negatives account for.
    """

    def __init__(self, pairs: Tensor, nodes: int, candidates: int, power: float) -> None:
        """pairs (E, 2): all true pairs, among nodes 0..candidates-1 of `nodes`."""
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(4.0))
        self.nodes = nodes
        directed = torch.cat([pairs, pairs.flip(1)])
        self.source, self.partner = directed.unbind(1)  # (2E,) each
        self.draw_weight = (self.source.bincount(minlength=candidates) + 1.0) ** power

    def forward(self, vectors: Tensor, source: Tensor, partner: Tensor, negatives: int) -> Tensor:
        """vectors (K, width); source, partner (A,) nodes of true pairs -> mean loss.

        Each source is compared with the same `negatives` draws.
        """
        rows, row = source.unique(return_inverse=True)
        drawn = self.draw_weight.multinomial(negatives, replacement=True)
        drawn, times = drawn.unique(return_counts=True)  # (C,) each
        negative = F.softplus(vectors[rows] @ vectors[drawn].T - self.threshold)  # (rows, C)
        negative = negative.masked_fill(self._linked(rows, drawn), 0)
        negative = (negative * times).sum(1) / negatives
        score = (vectors[source] * vectors[partner]).sum(1) - self.threshold
        return (F.softplus(-score) + negative[row]).mean()

    def _linked(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(rows, columns) bool: the two are linked, or the same node; both ascending, distinct."""
        at_row, at_column = (torch.full((self.nodes,), -1) for _ in range(2))
        at_row[rows] = torch.arange(len(rows))
        at_column[columns] = torch.arange(len(columns))
        linked = torch.zeros(len(rows), len(columns), dtype=torch.bool)
        every = torch.arange(self.nodes)
        for source, partner in ((self.source, self.partner), (every, every)):
            row, column = at_row[source], at_column[partner]
            present = (row >= 0) & (column >= 0)
            linked[row[present], column[present]] = True
        return linked
