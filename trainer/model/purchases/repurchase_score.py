"""Will the customer buy this again, now? A score per own product, from how often and when.

Counting weighs frequencies alike for all products and customers. Milk comes back every week and
light bulbs do not; some customers vary more than others. So a small network reads what is known of
the pair of customer and product, of the product and of the question.
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

PLAIN = COUNTS.index("trips 1")
FEATURES = 2 * len(COUNTS) + len(HEADS) + len(GAPS) + len(COLUMNS) + 6


class RepurchaseScore(nn.Module):
    """Scores that are added to the log-scores of counting; 0 at the start.

    Args:
        width: channels of what describes a question.
        product: channels of product vectors.
        hidden: channels inside.
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
        """Train in bfloat16 what is large, whatever the rest of the model is in."""

    def forward(
        self, questions: Questions, z: Tensor, products: Tensor, share: Tensor, ratios: Tensor,
        lifts: Tensor,
    ) -> Tensor:  # fmt: skip
        """Scores (E,): z (Q, width) describes the questions, products (>= N + 1, product) by token.

        share (E,), ratios (E, counts) and lifts (E,): what `CountingPrior` says of own products.
        """
        history = questions.history
        floor = SMOOTHING * share[:, None]
        similar = (self.similar(history, z) / floor).log1p()
        known = self._features(questions, share, ratios, lifts)
        bfloat16 = torch.autocast(z.device.type, torch.bfloat16)
        with bfloat16 if self.use_bfloat16 and self.training else nullcontext():
            x = self.features(torch.cat([known, similar / 4 - 1], dim=1))
            # In place: these are the largest tensors of a step on a CPU.
            x += self.question(z).index_select(0, history.question)
            x += self._of_products(products, history.token)
            score = self.score(F.silu(self.inner(F.silu(x)))).squeeze(1)
        # Not a product of matrices, which autocast would round.
        return score + (similar * self.weight).sum(1)

    def count_weights(self) -> list[nn.Parameter]:
        """The weights of counts over similar trips, and of what makes trips similar."""
        return [self.weight, self.similar.weight]

    def _of_products(self, products: Tensor, token: Tensor) -> Tensor:
        """(E, hidden): all products are mapped, or one per pair where those are fewer."""
        if len(token) < len(products):
            return self.product(products.index_select(0, token))
        return self.product(products).index_select(0, token)

    def _features(
        self, questions: Questions, share: Tensor, ratios: Tensor, lifts: Tensor
    ) -> Tensor:
        """(E, features but those of similar trips), about -2 to 2."""
        history, sales = questions.history, questions.sales
        since, usual = history.gaps[:, 0], history.gaps[:, -1]
        again = usual >= 0
        trips = occurrences(history.trips.question, len(questions.trip))[history.question]
        overdue = ((since + 1) / (usual.clamp_min(0) + 1)).log() * again
        return torch.cat(
            [
                history.counts.log1p() - 0.5,
                ratios / 4 - 1,
                history.gaps.clamp_min(0).log1p() / 2 - 1,
                sales.table[sales.week[history.question], :, history.token],
                torch.stack(
                    [
                        again,
                        overdue,
                        trips.log1p() / 2 - 1,
                        history.counts[:, PLAIN] / trips,
                        share.log() / 2 + 4,
                        lifts,
                    ],
                    dim=1,
                ),
            ],
            dim=1,
        )
