"""Will the customer buy this again, now? A score per product bought before.

Counting weighs frequencies the same way for all products and customers. But milk is bought again
every week and light bulbs are not, and some customers vary more than others. So a small network
reads how often and when the customer bought the product, the product's vector and the question.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.batches.batch import Questions
from trainer.features.chain_sales import COLUMNS
from trainer.features.purchase_history import COUNTS, GAPS
from trainer.features.tensors import occurrences
from trainer.model.purchases.counting_prior import SMOOTHING
from trainer.model.purchases.similar_trips import HEADS, SimilarTrips

TRIP_COUNT = COUNTS.index("trips 1")
"""The count without decay."""
FEATURES = 2 * len(COUNTS) + len(HEADS) + len(GAPS) + len(COLUMNS) + 6


class RepurchaseScore(nn.Module):
    """Scores added to the log-scores of counting; 0 at the start.

    Args:
        width: channels of question vectors.
        product: channels of product vectors.
        hidden: inner channels.
    """

    def __init__(self, width: int, product: int, hidden: int) -> None:
        super().__init__()
        self.similar = SimilarTrips(width)
        self.weight = nn.Parameter(torch.zeros(len(HEADS)))
        self.features = nn.Linear(FEATURES, hidden)
        self.question = nn.Linear(width, hidden, bias=False)
        self.product = nn.Linear(product, hidden, bias=False)
        self.inner = nn.Linear(hidden, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)
        nn.init.zeros_(self.score.weight)
        self.use_bfloat16 = False
        """Whether training computes the largest tensors in bfloat16, under any other precision."""

    def forward(
        self, questions: Questions, z: Tensor, products: Tensor, share: Tensor, ratios: Tensor,
        lifts: Tensor,
    ) -> Tensor:  # fmt: skip
        """Scores (E,): z (Q, width) question vectors, products (>= N + 1, product) by token.

        share (E,), ratios (E, counts) and lifts (E,): from `CountingPrior`, of products bought
        before.
        """
        history = questions.history
        floor = SMOOTHING * share[:, None]
        similar = (self.similar(history, z) / floor).log1p()
        known = self._features(questions, share, ratios, lifts)
        bfloat16 = torch.autocast(z.device.type, torch.bfloat16)
        with bfloat16 if self.use_bfloat16 and self.training else nullcontext():
            x = self.features(torch.cat([known, similar / 4 - 1], dim=1))
            # In place: on a CPU these are the largest tensors of a step.
            x += self.question(z).index_select(0, history.question)
            x += self._of_products(products, history.token)
            score = self.score(F.silu(self.inner(F.silu(x)))).squeeze(1)
        # Not a matrix product, which autocast would round.
        return score + (similar * self.weight).sum(1)

    def count_weights(self) -> list[nn.Parameter]:
        """The weights of counts over similar trips, and of the similarity of trips."""
        return [self.weight, self.similar.weight]

    def _of_products(self, products: Tensor, token: Tensor) -> Tensor:
        """(E, hidden): maps all products, or the product of each pair where those are fewer."""
        if len(token) < len(products):
            return self.product(products.index_select(0, token))
        return self.product(products).index_select(0, token)

    def _features(
        self, questions: Questions, share: Tensor, ratios: Tensor, lifts: Tensor
    ) -> Tensor:
        """(E, FEATURES - heads), about -2 to 2: all but those of similar trips."""
        history, sales = questions.history, questions.sales
        since, usual = history.gaps[:, 0], history.gaps[:, -1]
        is_repeat = usual >= 0  # bought at least twice
        trips = occurrences(history.trips.question, len(questions.trip))[history.question]
        overdue = ((since + 1) / (usual.clamp_min(0) + 1)).log() * is_repeat
        return torch.cat(
            [
                history.counts.log1p() - 0.5,
                ratios / 4 - 1,
                history.gaps.clamp_min(0).log1p() / 2 - 1,
                sales.table[sales.week[history.question], :, history.token],
                torch.stack(
                    [
                        is_repeat,
                        overdue,
                        trips.log1p() / 2 - 1,
                        history.counts[:, TRIP_COUNT] / trips,
                        share.log() / 2 + 4,
                        lifts,
                    ],
                    dim=1,
                ),
            ],
            dim=1,
        )
