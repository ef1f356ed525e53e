"""How much each earlier trip of the customer counts for the trip in question.

The decoder attends to vectors of the last trips. This attends to every earlier trip, and gives its
attention weight to what was bought on it. How a trip is weighted is learned, and may differ from
question to question. Weights that fall with time only, the form that all but the first few start
from, are those of a state-space model with one decay per head (Dao and Gu, Transformers are SSMs,
2024, section 5): the sum over all purchases of a product is its state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.features.purchase_history import LIKENESS, Bought, EarlierTrips

AGE = LIKENESS.index("trips back / 20")
HEADS: tuple[dict[str, float], ...] = (
    {"trips back / 20": -1, "cosine": 6},
    {"trips back / 20": -0.6, "same size": 1, "same sensitivity": 1, "same type": 1,
     "same focus": 1},
    {"trips back / 20": -0.6, "same store": 2},
    {"trips back / 20": -0.6, "hours / 4": -1},
    {"days / 60": -1},
    {"trips back / 20": -0.2},
    {"trips back / 20": -4.5},
    {"trips back / 20": -14},
)  # fmt: skip
"""Initial weights, one dict per head. The first is a strong rule by itself: trips weighted by
recency and by similarity to the visible items."""
DECAY = 0.95
"""Weights of trips are scaled so that their sum is that of a decay by this factor per trip back."""


class SimilarTrips(nn.Module):
    """Weights exp(weights . likeness) of earlier trips, and counts of purchases with them.

    The weights of likeness are those of the head plus what the question adds (0 at the start).

    Args:
        width: channels of question vectors.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        start = [[head.get(name, 0.0) for name in LIKENESS] for head in HEADS]
        self.weight = nn.Parameter(torch.tensor(start, dtype=torch.get_default_dtype()))
        self.question = nn.Linear(width, self.weight.numel(), bias=False)
        nn.init.zeros_(self.question.weight)

    def forward(self, trips: EarlierTrips, z: Tensor) -> Tensor:
        """z (Q, width) question vectors; returns weights of the pairs, (P, heads)."""
        heads = len(HEADS)
        weight = self.weight + self.question(z).view(-1, *self.weight.shape)  # (Q, heads, F)
        of_pair = weight.flatten(1).index_select(0, trips.question).view(-1, *self.weight.shape)
        score = (of_pair @ trips.likeness.to(of_pair.dtype)[:, :, None]).squeeze(2).float()
        index = trips.question[:, None].expand_as(score)
        empty = score.new_zeros(len(z), heads)
        top = empty.scatter_reduce(0, index, score.detach(), "amax", include_self=False)
        share = (score - top.index_select(0, trips.question)).exp()
        total = empty.index_add(0, trips.question, share)
        decay = DECAY ** (20 * trips.likeness[:, AGE])
        trips_back = score.new_zeros(len(z)).index_add(0, trips.question, decay.to(score.dtype))
        scale = trips_back[:, None] / total.clamp_min(torch.finfo(total.dtype).tiny)
        return share * scale.index_select(0, trips.question)


def weighted_counts(bought: Bought, weights: Tensor) -> Tensor:
    """(E, heads) sums of the weights (P, heads) of the earlier trips with each product."""
    counts = weights.new_zeros(len(bought.token), weights.shape[1])
    return counts.index_add(0, bought.entry, weights.index_select(0, bought.pair))
