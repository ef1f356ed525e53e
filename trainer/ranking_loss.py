"""A loss on the order of the first products: what the metrics see and a likelihood does not."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CUTOFF = 10
"""Places that count in NDCG."""
PLACES = 20
"""The highest products that targets are compared with."""


class RankingLoss(nn.Module):
    """Pairs of a target and a product that is none, weighted by what swapping them would give.

    For a target i and a product j among the first 20 of its question, |change of NDCG@10 if they
    swapped places| log(1 + exp(s_j - s_i)). Sources: Burges, From RankNet to LambdaRank to
    LambdaMART, 2010; as a loss: Wang et al., The LambdaLoss Framework, 2018.
    """

    def forward(self, logits: Tensor, targets: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The sum over questions and how many of them have targets.

        logits (Q, V), one row per question; targets (T,) distinct within a question; rows (T,)
        int64 their questions. Both results are 0-dimensional.
        """
        top = logits.detach().topk(min(PLACES, logits.shape[1]), dim=1)
        wanted = torch.zeros_like(logits, dtype=torch.bool)
        wanted[rows, targets] = True
        other = ~wanted.gather(1, top.indices)
        score = logits[rows, targets]  # (T,)
        rival = logits.gather(1, top.indices).index_select(0, rows)  # (T, places)
        place = (rival > score[:, None]).sum(1)  # of the target, from 0
        gain = _gain(torch.arange(CUTOFF + PLACES + 1, device=logits.device))
        swap = (gain[place, None] - gain[: rival.shape[1]]).abs()
        sizes = torch.bincount(rows, minlength=len(logits))
        ideal = gain.cumsum(0)[sizes.clamp(1, CUTOFF) - 1]
        weight = swap * other.index_select(0, rows) / ideal.index_select(0, rows)[:, None]
        return (weight * F.softplus(rival - score[:, None])).sum(), ranking_count(rows)


def ranking_count(rows: Tensor) -> Tensor:
    """How many questions have a target: rows (T,) of the targets."""
    return (torch.bincount(rows) > 0).sum()


def _gain(place: Tensor) -> Tensor:
    """1 / log2(place + 2) for the first ten places from 0, else 0."""
    return torch.where(place < CUTOFF, 1 / torch.log2(place + 2.0), 0)
