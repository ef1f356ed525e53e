"""Attention over all earlier trips of the customer: which of them are like the trip in question?

The decoder attends to vectors of the last trips. This attends to every earlier trip, and gives its
attention weight to the products bought on it. How a trip is weighted is learned, and may differ
from question to question.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.features.purchase_history import HISTORY, LIKENESS, PurchaseHistory

AGE = LIKENESS.index("trips back / 20")
HEADS: tuple[dict[str, float], ...] = (
    {"trips back / 20": -1, "cosine": 4},
    {"trips back / 20": -0.5, "same store": 1, "same size": 0.5, "same type": 0.5,
     "same focus": 1, "same sensitivity": 0.5},
    {"trips back / 20": -0.5, "same store": 1, "hours / 4": -0.5},
    {"trips back / 20": -3},
)  # fmt: skip
"""Initial weights, one dict per head."""


class SimilarTrips(nn.Module):
    """Counts of products bought before over trips weighted by exp(weights . likeness).

    The weights are those of the head plus what the question adds (0 at the start). The weights of
    trips are scaled so that their sum is that of a decay by 0.95 per trip back.

    Args:
        width: channels of question vectors.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        start = [[head.get(name, 0.0) for name in LIKENESS] for head in HEADS]
        self.weight = nn.Parameter(torch.tensor(start, dtype=torch.get_default_dtype()))
        self.question = nn.Linear(width, self.weight.numel(), bias=False)
        nn.init.zeros_(self.question.weight)

    def forward(self, history: PurchaseHistory, z: Tensor) -> Tensor:
        """z (Q, width) question vectors; returns counts (E, heads)."""
        trips, heads = history.trips, len(HEADS)
        weight = self.weight + self.question(z).view(-1, *self.weight.shape)  # (Q, heads, F)
        of_pair = weight.flatten(1).index_select(0, trips.question).view(-1, *self.weight.shape)
        score = (of_pair @ trips.likeness.to(of_pair.dtype)[:, :, None]).squeeze(2).float()
        index = trips.question[:, None].expand_as(score)
        empty = score.new_zeros(len(z), heads)
        top = empty.scatter_reduce(0, index, score.detach(), "amax", include_self=False)
        share = (score - top.index_select(0, trips.question)).exp()
        total = empty.index_add(0, trips.question, share)
        decay = HISTORY.neighbour_rate ** (20 * trips.likeness[:, AGE])
        trips_back = score.new_zeros(len(z)).index_add(0, trips.question, decay.to(score.dtype))
        scale = trips_back[:, None] / total.clamp_min(torch.finfo(total.dtype).tiny)
        share = share * scale.index_select(0, trips.question)
        counts = share.new_zeros(len(history.token), heads)
        return counts.index_add(0, trips.entry, share.index_select(0, trips.pair))
