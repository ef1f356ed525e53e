"""Attention over all own earlier trips: which of them are like the one that is asked about?

The decoder looks at the last trips as vectors. This looks at every trip as what it is, a set of
products: a trip's weight goes to what was bought on it. The weights are learned, and may differ
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
"""Weights at the start, one dict per head."""


class SimilarTrips(nn.Module):
    """Counts of own products over trips weighted by exp(weights . likeness).

    The weights are those of the head plus what the question adds (0 at the start). They are scaled
    so that all earlier trips together weigh what 0.95 per trip back would give them.

    Args:
        width: channels of what describes a question.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        start = [[head.get(name, 0.0) for name in LIKENESS] for head in HEADS]
        self.weight = nn.Parameter(torch.tensor(start, dtype=torch.get_default_dtype()))
        self.question = nn.Linear(width, self.weight.numel(), bias=False)
        nn.init.zeros_(self.question.weight)

    def forward(self, history: PurchaseHistory, z: Tensor) -> Tensor:
        """z (Q, width) describes the questions; counts (E, heads)."""
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
