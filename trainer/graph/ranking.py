"""How well scores find held-out links: AUC, hits@10 and mean reciprocal rank.

Ties count half everywhere, so that a constant score reaches exactly chance.
"""

from __future__ import annotations

import torch
from torch import Tensor


def auc(positive: Tensor, negative: Tensor) -> float:
    """Share of (positive, negative) pairs in which the positive scores higher.

    positive (P,), negative (N,) scores. By rank sums (H. Mann, D. Whitney, 1947).
    """
    scores = torch.cat([positive, negative]).double()
    _, group, size = scores.unique(return_inverse=True, return_counts=True)
    rank = size.cumsum(0) - (size.double() - 1) / 2  # of each group: 1 for the lowest
    wins = rank[group][: len(positive)].sum() - len(positive) * (len(positive) + 1) / 2
    return float(wins / (len(positive) * len(negative)))


def ranks(scores: Tensor, truth: Tensor, excluded: Tensor) -> Tensor:
    """(Q,) float64 rank of the true candidate, 1 for the best; ties share their mean rank.

    scores (Q, C); truth (Q,) candidate; excluded (Q, C) bool: candidates that do not compete,
    with or without the truth itself.
    """
    value = scores.gather(1, truth.unsqueeze(1))
    competes = ~excluded
    competes.scatter_(1, truth.unsqueeze(1), False)
    above = (competes & ~(scores <= value)).sum(1)  # NaN counts as above
    equal = (competes & (scores == value)).sum(1)
    return 1 + above + equal.double() / 2
